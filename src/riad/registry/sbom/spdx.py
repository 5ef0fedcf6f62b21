"""A list of packages as an SPDX 2.3 document in JSON (spdx.github.io/spdx-spec/v2.3). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from riad.registry.sbom.packages import Package


def document(image: str, digest: str, packages: Sequence[Package], *, created: datetime) -> dict[str, Any]:
    """`image` is its name with the registry's; `digest` what it stands for."""
    root = "SPDXRef-image"
    shown = [_package(number, package) for number, package in enumerate(packages)]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": image,
        "documentNamespace": f"https://{image.partition('/')[0]}/spdx/{digest.partition(':')[2]}",
        "creationInfo": {"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: riad"]},
        "packages": [
            {
                "SPDXID": root,
                "name": image,
                "versionInfo": digest,
                "downloadLocation": "NOASSERTION",
                "filesAnalyzed": False,
                "primaryPackagePurpose": "CONTAINER",
            },
            *shown,
        ],
        "relationships": [
            _relation("SPDXRef-DOCUMENT", "DESCRIBES", root),
            *(_relation(root, "CONTAINS", each["SPDXID"]) for each in shown),
        ],
    }


def _package(number: int, package: Package) -> dict[str, Any]:
    return {
        "SPDXID": f"SPDXRef-package-{number}",
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "sourceInfo": f"found in {package.path}",
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": package.purl}
        ],
    }


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
