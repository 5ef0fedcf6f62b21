"""Every table of the server: importing this module puts all of them on `kernel.db.Base`."""

from __future__ import annotations

import riad.deploy.store
import riad.forge.store
import riad.identity.store
import riad.kernel.outbox
import riad.ml.store
import riad.pipelines.store
import riad.registry.store  # noqa: F401
