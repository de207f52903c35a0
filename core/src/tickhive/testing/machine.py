"""The disorder of a line as a hypothesis state machine: it looks for the story after which a book is wrong."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tickhive.testing.disorder import Disorder
from tickhive.testing.subject import Subject


class BookMachine(RuleBasedStateMachine):
    """Every rule is something that happens to a collector's line."""

    subject: ClassVar[Subject]
    world: Disorder | None = None

    @initialize()
    def begin(self) -> None:
        """Two collectors at one venue."""
        self.world = Disorder(self.subject)

    @property
    def there(self) -> Disorder:
        """The world, once it has begun."""
        assert self.world is not None
        return self.world

    @rule()
    def lose(self) -> None:
        """A frame never arrives."""
        self.there.lose()

    @rule()
    def repeat(self) -> None:
        """A frame arrives twice."""
        self.there.repeat()

    @rule()
    def delay(self) -> None:
        """A frame arrives late."""
        self.there.delay()

    @rule()
    def cut(self) -> None:
        """The line is gone."""
        self.there.cut()

    @rule()
    def be_late(self) -> None:
        """REST becomes slow, or quick again."""
        self.there.be_late()

    @rule(milliseconds=st.sampled_from((30, 150, 600)))
    def go_on(self, milliseconds: int) -> None:
        """The market goes on."""
        self.there.go_on(milliseconds)

    def teardown(self) -> None:
        """Everything comes right again."""
        if self.world is not None:
            self.world.settle()


def run(subject: Subject, examples: int = 6, steps: int = 14) -> None:
    """Search; CaseFailed for a story after which a live book is not the venue's."""
    machine = type("BookMachine", (BookMachine,), {"subject": subject})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=True,
            database=None,
            deadline=None,
            print_blob=False,
            # To shorten a story takes minutes, and those found are short.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
