"""What the tests of the engine share."""

from __future__ import annotations

import pytest

from dspex_worker import engine as engine_module
from dspex_worker.config import WorkerConfig
from dspex_worker.engine import Engine


@pytest.fixture(scope="session")
def config() -> WorkerConfig:
    config = WorkerConfig(modules=("dspex_worker.testing",))
    engine_module.warm(config)
    return config


@pytest.fixture
def engine(config: WorkerConfig) -> Engine:
    return Engine(config)


@pytest.fixture
def tool_engine() -> Engine:
    """An engine whose user allowed the programs and tools of these tests."""
    return Engine(WorkerConfig(modules=("tool_programs",)))
