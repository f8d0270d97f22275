"""What is said of an evaluation whose text has no count of characters."""

import pytest

from charlm.report.console import Messages
from charlm.report.training_screen import TrainingScreen
from charlm.training.listener import Evaluation


@pytest.mark.parametrize(("bits", "shown"), [(1.5, "bits_per_character=1.5000 "), (None, "")])
def test_an_evaluation_with_and_without_bits_per_character(bits, shown, capsys) -> None:
    TrainingScreen(Messages()).evaluated(Evaluation(8, 80, 1.0, 2.5, bits, 3.0, 8))
    wanted = f"step=8 split=valid seconds=1.0 nats_per_token=2.5000 {shown}best_step=8\n"
    assert capsys.readouterr().err == wanted
