from renderctl.cli.ui.progress_display import LineProgress, ProgressStep
from tests.fakes import FakeClock


def shown(steps: list[tuple[float, ProgressStep]]) -> list[str]:
    """What is said of steps, each of which comes so many seconds after the one before it."""
    said: list[str] = []
    clock = FakeClock()
    lines = LineProgress(said.append, clock.monotonic)
    for seconds, step in steps:
        clock.advance(seconds=seconds)
        lines.show(step)
    lines.close()
    return said


def test_a_line_is_said_every_few_seconds_and_at_the_end() -> None:
    said = shown([(0.1, ProgressStep("Rendering", frame, 100)) for frame in range(1, 101)])
    assert 3 <= len(said) <= 5
    assert said[-1] == "Rendering: 100/100 frames"


def test_files_that_were_moved_in_no_time_are_not_worth_a_line() -> None:
    assert shown([(0.1, ProgressStep("Uploading", 1, 1, "files"))]) == []


def test_a_line_tells_pace_time_left_and_what_is_being_done() -> None:
    step = ProgressStep(
        "Rendering", 1, 3, now="frame 2: sample 1/8", last="a/0001.png", left_s=62, pace="31.00 s a frame"
    )
    assert shown([(4, step)]) == [
        "Rendering: 1/3 frames, 31.00 s a frame, 1 min 02 s left, frame 2: sample 1/8, a/0001.png"
    ]
