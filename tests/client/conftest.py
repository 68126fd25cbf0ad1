"""What all tests of the client share."""

import pytest

from InferenceLibrary.client.http import Client


@pytest.fixture(autouse=True)
def clients_are_closed(monkeypatch):
    made = []
    prepare = Client.__post_init__

    def remember(client):
        prepare(client)
        made.append(client)

    monkeypatch.setattr(Client, "__post_init__", remember)
    yield
    for client in made:
        client.close()
