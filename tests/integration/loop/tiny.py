"""A project whose pipeline takes seconds: nothing to install, a page of one line, a test that can be made to fail."""

from __future__ import annotations

from pathlib import Path

DOCKERFILE = """\
FROM python:3.11
WORKDIR /app
COPY app.py .
EXPOSE 8000
CMD ["python", "-u", "app.py"]
"""

APP = '''\
"""Answers `TEXT` on every path, `healthy` on /health."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "version 1"


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = (b"healthy" if self.path == "/health" else TEXT.encode()) + b"\\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    print("listening on port 8000")
    Server(("", 8000), Page).serve_forever()
'''

TEST = """\
import sys
import xml.etree.ElementTree as xml

import app

problem = "" if app.TEXT.startswith("version") else f"{app.TEXT!r} is no version"
suite = xml.Element("testsuite", name="pages", tests="1", failures=str(int(bool(problem))))
case = xml.SubElement(suite, "testcase", classname="pages", name="test_the_page_says_its_version", time="0.01")
if problem:
    xml.SubElement(case, "failure", message=problem).text = problem
xml.ElementTree(suite).write("report.xml")
sys.exit(problem or 0)
"""

BUILD = """\
build:
  stage: build
  image: docker:cli
  script:
    - echo "$CI_REGISTRY_PASSWORD" | docker login -u "$CI_REGISTRY_USER" --password-stdin "$CI_REGISTRY"
    - docker build -t "$IMAGE" .
    - docker push "$IMAGE"
"""

DEPLOY = """\
deploy:
  stage: deploy
  image: docker:cli
  environment:
    name: production
  script:
    - riad deploy --image "$IMAGE" --health /health
"""

PIPELINE = f"""\
stages: [test, build, deploy]

variables:
  IMAGE: $CI_REGISTRY_IMAGE:$CI_COMMIT_SHORT_SHA

test:
  stage: test
  image: python:3.11
  script:
    - python check.py
  artifacts:
    reports:
      junit: report.xml

{BUILD}
{DEPLOY}"""


def write(folder: Path) -> None:
    """The project's files into a new folder."""
    folder.mkdir()
    files = {"Dockerfile": DOCKERFILE, "app.py": APP, "check.py": TEST, ".gitlab-ci.yml": PIPELINE}
    for name, text in files.items():
        (folder / name).write_text(text)
