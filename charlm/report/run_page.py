"""A run told on one page: what it is, what it reached, its course, what it writes and knows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from charlm.report.classifier_pictures import confusion_picture, reliability_picture
from charlm.report.classifier_tables import verdict
from charlm.report.coloured_text import described, full_colour, ink_on, surprisal_colour
from charlm.report.curves import run_curves, shown_panels
from charlm.report.drawing import inline_svg
from charlm.report.gradient_tables import gradient_picture, gradient_rows, kept_a_step
from charlm.report.learning_curve import learning_curve_picture
from charlm.report.page import folded, page, pairs, paragraph, section, table, written
from charlm.run_story import RunStory

if TYPE_CHECKING:
    from charlm.evaluation.looking import Look

_PARTS = ("valid", "test", "baseline", "words", "together")
_NOT_FIGURES = ("per_class", "weights", "ahead_of", "comparison")
_CLASS_FIGURES = ("n", "precision", "recall", "f1")


def run_page(story: RunStory) -> str:
    """The page as HTML."""
    history = story.history
    body = [_reached(history.summary), _configuration(history.config)]
    course = [
        inline_svg(run_curves(history, panel), f"course-{number}", panel.title)
        for number, panel in enumerate(shown_panels(history))
    ]
    if course:
        body.append(section("Its course", *course))
    if history.summary is not None:
        body += _classifier(history.summary)
    if story.samples:
        body.append(
            section(
                "What it wrote on the way",
                *(
                    f"{paragraph(f'after step {step:,}', 'soft')}<pre>{written(text)}</pre>"
                    for step, text in story.samples
                ),
            )
        )
    if story.passage is not None:
        body.append(_passage(story.passage))
    if story.gradients is not None:
        body.append(_gradients(story.gradients))
    return page(history.path.resolve().name, body)


def _reached(summary: Mapping[str, Any] | None) -> str:
    title = "What it reached"
    if summary is None:
        return section(title, paragraph("It has not ended: its figures so far are below."))
    course = {
        key: value
        for key, value in summary.items()
        if isinstance(value, int | float | str) and key != "run"
    }
    parts = {name: found for name in _PARTS if isinstance(found := summary.get(name), Mapping)}
    keys = dict.fromkeys(
        key for found in parts.values() for key in found if key not in _NOT_FIGURES
    )
    rows = [(key, *(found.get(key) for found in parts.values())) for key in keys]
    return section(title, *([table(("", *parts), rows)] if parts else []), pairs(course))


def _configuration(config: Mapping[str, Any]) -> str:
    sections = {name: entries for name, entries in config.items() if isinstance(entries, dict)}
    shown = [folded(name, pairs(entries)) for name, entries in sections.items()]
    return section("What it is", *shown)


def _classifier(summary: Mapping[str, Any]) -> list[str]:
    """Of a classifier: how sure to be of it, class by class."""
    found = []
    part = summary.get("test") or summary.get("valid")
    if isinstance(part, Mapping) and isinstance(part.get("per_class"), Mapping):
        per_class = part["per_class"]
        rows = [
            (name, *(figures.get(key) for key in _CLASS_FIGURES))
            for name, figures in per_class.items()
        ]
        picture = inline_svg(confusion_picture(per_class), "confusion", "confusion matrix")
        found.append(section("Class by class", table(("", *_CLASS_FIGURES), rows), picture))
    if summary.get("comparison"):
        found.append(
            section(
                "Against counting words", paragraph(verdict(summary["comparison"], "the baseline"))
            )
        )
    if summary.get("calibration"):
        svg = inline_svg(reliability_picture(summary["calibration"]), "calibration", "reliability")
        found.append(section("Calibration", f'<div class="two">{svg}</div>'))
    if summary.get("learning_curve"):
        curve = learning_curve_picture(summary["learning_curve"])
        svg = inline_svg(curve, "learning", "figures against the number of labels")
        found.append(section("With fewer labels", f'<div class="two">{svg}</div>'))
    return found


def _passage(look: "Look") -> str:
    most = full_colour(look)
    spans = []
    for piece in look.pieces:
        ground = surprisal_colour(piece.bits / most)
        red, green, blue = ground
        text = written(piece.text.replace("\n", "↵\n"))
        style = f"background:rgb({red},{green},{blue});color:rgb{ink_on(ground)}"
        spans.append(f'<span style="{style}" title="{written(described(piece))}">{text}</span>')
    return section(
        "What surprised it in a text it has not seen",
        paragraph(
            f"{look.bits / look.characters:.3f} bits per character; the redder, the more bits "
            f"(darkest from {most:.1f}).",
            "soft",
        ),
        f'<div class="text">{"".join(spans)}</div>',
    )


def _gradients(flow: Mapping[str, Any]) -> str:
    steps = len(flow["state"]["h"])
    kept = kept_a_step(flow["state"]["h"])
    words = f"The loss of a step, followed back over the {steps} steps before it."
    if kept is not None:
        words += f" On its way the gradient of the state changes by a factor of {kept:.3g} a step."
    picture = inline_svg(
        gradient_picture({"this run": flow}, columns=1), "gradients", "gradient by distance"
    )
    figures = folded("figures", table(("", ""), gradient_rows({"this run": flow})))
    return section("How far back it learns", paragraph(words), picture, figures)
