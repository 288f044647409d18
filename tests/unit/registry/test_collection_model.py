"""The protocol of collection has no state that breaks a promise, and none of its rules is idle."""

from __future__ import annotations

import importlib
import os

import pytest

from collection_model import ALL, RULES, SCENES, STEPS, Found, Model, Scene, explore

# A release is tested with one time more.
TIMES = int(os.environ.get("MODEL_TIMES", "0"))


def longer(scene: Scene) -> Scene:
    """Return the scene as long as is wanted."""
    return Scene(scene.manifests, scene.actors, scene.times + TIMES)


@pytest.fixture(scope="module")
def explored() -> dict[str, Found]:
    """Return what there is in each scene."""
    return {title: explore(Model(longer(scene))) for title, scene in SCENES.items()}


@pytest.mark.timeout(60 + 600 * TIMES)
@pytest.mark.parametrize("title", SCENES)
def test_every_state_is_safe(explored: dict[str, Found], title: str) -> None:
    found = explored[title]
    assert (found.problem, found.way) == ("", [])
    assert found.states > 900


def test_every_step_is_taken_and_told(explored: dict[str, Found]) -> None:
    assert frozenset().union(*(found.taken for found in explored.values())) == set(STEPS)


def counter_example(rule: str) -> Found | None:
    """Return what breaks without the rule."""
    for scene in SCENES.values():
        found = explore(Model(scene, ALL - {rule}))
        if found.problem:
            return found
    return None


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_needed(rule: str) -> None:
    found = counter_example(rule)
    assert found is not None
    assert found.way


@pytest.mark.parametrize("step", STEPS)
def test_every_step_is_in_the_program(step: str) -> None:
    """A step that is renamed or gone is one that the model no longer speaks of."""
    module, _, name = STEPS[step].partition(":")
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)
