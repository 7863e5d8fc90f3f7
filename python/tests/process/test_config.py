"""The configuration that the host sends."""

from __future__ import annotations

import pytest

from dspex_worker.config import ConfigError, WorkerConfig


def test_every_field_is_read() -> None:
    config = WorkerConfig.from_json(
        {
            "modules": ["my_team.rag"],
            "python_path": ["/srv/app"],
            "max_message_bytes": 1000,
            "sync_threads": 2,
            "token": "s3cret",
            "worker": "w1",
            "generation": 3,
            "log_level": "DEBUG",
            "settings": {"anything": [1]},
        }
    )
    assert (config.modules, config.python_path) == (("my_team.rag",), ("/srv/app",))
    assert (config.max_message_bytes, config.sync_threads) == (1000, 2)
    assert (config.worker, config.generation, config.log_level) == ("w1", 3, "DEBUG")
    assert config.settings == {"anything": [1]}


def test_defaults_are_those_of_a_local_worker() -> None:
    config = WorkerConfig.from_json({})
    assert config == WorkerConfig()
    assert (config.max_message_bytes, config.sync_threads, config.token) == (64 * 1024 * 1024, 8, "")


def test_the_token_is_not_printed() -> None:
    assert "s3cret" not in repr(WorkerConfig(token="s3cret"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("modules", "dspy"),
        ("modules", [1]),
        ("max_message_bytes", 0),
        ("max_message_bytes", 1.5),
        ("sync_threads", True),
        ("generation", -1),
        ("token", None),
        ("log_level", "LOUD"),
        ("settings", []),
    ],
)
def test_a_wrong_value_names_its_field(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{field}: expected"):
        WorkerConfig.from_json({field: value})


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ConfigError, match="configuration: sync_thread"):
        WorkerConfig.from_json({"sync_thread": 4})
