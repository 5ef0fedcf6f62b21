import pytest
from app import app


@pytest.fixture
def client():
    return app.test_client()


def test_the_root_says_hello(client):
    assert client.get("/").text.startswith("Hello")


def test_the_health_path_answers_ok(client):
    assert client.get("/health").json == {"status": "ok"}
