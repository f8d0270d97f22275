"""A pytest plugin that writes what the fault tests saw as a table (`make faults`).

    pytest -p faults_table --faults-table docs/faults.md --long FILES

With `--faults-seen FILE.json` what was seen is kept there, and a run adds to what runs before saw
of the same code: the long sweeps can be made in several sittings. What is run again counts anew.

ROWS are the rows of the fault contract. A test counts its tries by `record_property("tries", n)`;
one that does not is one try a case.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HEAD = """# What charlm survives

Written by `make faults`, which makes each fault happen for real: a process killed, a disk that is
full, a file with a flipped bit. "tried" counts the times that the fault was made to happen in this
run. `make test` makes the same faults happen fewer times, as does a row that says "short".

"""


class Row(NamedTuple):
    """A fault, what must be true, and the tests (`folder/file.py::test`, no `::`: all of a file)
    that show it."""

    fault: str
    must: str
    tests: tuple[str, ...]


ROWS = {
    "Nothing is lost": (
        Row(
            "`kill -9` at any moment of training",
            "`--resume` ends with the bytes of a run never killed",
            ("faults/test_killed_runs.py", "faults/test_killed_averages.py",
             "faults/test_killed_anywhere.py", "faults/test_several_processes.py",
             "faults/test_killed_classifiers.py",
             "faults/test_divergence.py::test_a_run_killed_around_its_retry_ends_with_the_same_bytes"),
        ),
        Row(
            "death between any two system calls of a save",
            "the previous checkpoint loads: one appears whole or not at all",
            ("runs/test_save_faults.py::test_death_before_every_call_leaves_the_old_or_the_new",
             "runs/test_save_faults.py::test_death_in_the_first_save_leaves_none_or_the_whole",
             "runs/test_save_faults.py::test_death_while_replacing_a_remnant_of_another_trajectory",
             "runs/test_save_faults.py::test_nothing_is_believed_before_it_is_on_disk"),
        ),
        Row(
            "the power fails after any file operation of a save, and unsynced data are lost",
            "the old checkpoint or the new, whole",
            ("runs/test_power_cut.py",),
        ),
        Row(
            "disk full or I/O error at the Nth write, every N",
            "the last good checkpoint is intact, the path is named; never 'saved' when it was not",
            ("runs/test_save_faults.py::test_a_fault_at_every_call_keeps_the_last_good_checkpoint",
             "runs/test_export_file.py::test_a_full_disk_leaves_the_old_file",
             "faults/test_disks_and_files.py::test_a_full_disk_at_the_final_save_is_said_and_the_checkpoint_before_is_whole",
             "faults/test_limits.py::test_files_may_not_grow_beyond_a_limit",
             "faults/test_limits.py::test_a_disk_of_few_megabytes",
             "contract/test_exit_codes.py::test_1_full_device"),
        ),
        Row(
            "run directory not writable",
            "refused before any training, 2",
            ("runs/test_run_directory.py::test_places_that_cannot_be_a_run",
             "faults/test_disks_and_files.py::test_training_in_a_read_only_run_is_refused",
             "faults/test_disks_and_files.py::test_a_read_only_run_is_read"),
        ),
        Row(
            "Ctrl-C once; twice",
            "saves, prints the command that resumes, 130; leaves at once, last checkpoint valid",
            ("faults/test_signals.py::test_a_signal_saves_says_how_to_go_on_and_the_run_ends_the_same",
             "faults/test_signals.py::test_a_signal_while_evaluating_saves_and_the_evaluation_is_made_up_for",
             "faults/test_signals.py::test_ctrl_c_twice_leaves_at_once_and_the_last_checkpoint_is_whole",
             "faults/test_terminals.py::test_ctrl_c_typed_on_a_terminal"),
        ),
        Row(
            "SIGTERM in training, evaluating, tokenizing, generating",
            "saved where there is something to save, 143",
            ("faults/test_signals.py::test_a_signal_before_training_ends_with_its_code_and_training_begins_anew",
             "faults/test_signals.py::test_a_signal_in_a_reading_verb",
             "faults/test_terminated.py::test_evaluate_leaves_no_temporary_files"),
        ),
        Row(
            "a second process on the same run directory",
            "2, naming the process that holds it; a dead one's lock heals by itself",
            ("faults/test_signals.py::test_a_second_process_is_refused_by_the_pid_and_a_dead_one_holds_nothing",
             "runs/test_run_lock.py"),
        ),
        Row(
            "`--resume` with a changed corpus, tokenizer or architecture",
            "refused, 2, naming what differs",
            ("faults/test_disks_and_files.py::test_resuming_with_an_edited_text_is_refused",
             "faults/test_disks_and_files.py::test_resuming_with_another_network_is_refused_by_name",
             "contract/test_resume.py::test_other_setting_is_refused",
             "contract/test_resume.py::test_other_corpus_is_refused",
             "classifying/test_resuming.py"),
        ),
        Row(
            "the corpus is edited or truncated while training",
            "no effect",
            ("faults/test_disks_and_files.py::test_the_text_may_be_edited_while_it_is_trained_on",),
        ),
        Row(
            "the metrics file cannot be appended to; the terminal is gone",
            "training goes on",
            ("faults/test_disks_and_files.py::test_a_metrics_file_that_cannot_be_written_ends_nothing",
             "runs/test_metrics_log.py::test_a_failing_append_warns_once_and_leaves_no_half_line",
             "faults/test_terminals.py::test_training_goes_on_when_the_terminal_is_gone"),
        ),
        Row(
            "NaN or infinite loss or gradient",
            "the step is not taken; one retry at half the rate, said aloud; then 5",
            ("faults/test_divergence.py",
             "runs/test_checkpoint.py::test_not_finite_arrays_are_neither_saved_nor_loaded"),
        ),
        Row(
            "out of memory",
            "1, with the estimate and the options that lower it; checkpoints intact",
            ("faults/test_limits.py::test_out_of_memory",
             "contract/test_exit_codes.py::test_1_out_of_memory"),
        ),
    ),
    "Nobody gets in": (
        Row(
            "a pickle where a run is expected",
            "refused, 4, no byte of it executed",
            ("runs/test_export_file.py::test_a_pickle_is_refused_and_not_run",
             "contract/test_exit_codes.py::test_4_pickle"),
        ),
        Row(
            "any single flipped bit, any truncation, in any file of a checkpoint",
            "4, naming the file",
            ("runs/test_checkpoint.py::test_every_flipped_bit_and_truncation_names_the_file",
             "runs/test_export_file.py::test_every_flipped_bit_and_truncation_names_the_file",
             "text/test_token_cache.py::test_every_flipped_bit_of_the_tokens_is_found",
             "test_verification.py", "classifying/test_verifying.py"),
        ),
        Row(
            "missing or extra tensors, wrong shape or dtype, NaN weights",
            "4, naming the tensor",
            ("runs/test_tensor_files.py::test_tensors_are_compared_with_what_the_model_needs",
             "runs/test_checkpoint.py::test_missing_extra_linked_and_special_files_are_refused",
             "generation/test_decoder.py::test_a_damaged_model_is_refused",
             "generation/test_decoder_of_every_cell.py::test_weights_of_another_shape_than_the_configuration_has_are_refused"),
        ),
        Row(
            "a header that promises terabytes, `hidden_size` 10^9, deep or duplicate-key JSON, "
            "path traversal, links out of the run",
            "refused before allocation, in under a second, 4",
            ("runs/test_tensor_files.py::test_hostile_headers_are_refused_at_once_and_cheaply",
             "faults/test_disks_and_files.py::test_a_configuration_that_promises_a_huge_network_is_refused_at_once",
             "runs/test_checkpoint.py::test_hostile_state_is_refused_at_once",
             "runs/test_checkpoint.py::test_a_manifest_can_only_name_its_own_files",
             "runs/test_checkpoint.py::test_links_lead_nowhere_but_to_a_checkpoint_beside",
             "text/test_token_cache.py::test_a_hostile_manifest_is_refused"),
        ),
        Row(
            "whatever bytes in the place of a manifest, a configuration, tensors, a tokenizer, an "
            "exported model, a text, labelled data, a prompt",
            "read or refused with its code: no crash, no hang over a second, bounded memory",
            ("faults/test_fuzzing.py",),
        ),
        Row(
            "a damaged or hostile sentencepiece model",
            "refused by its hash before it is parsed",
            ("text/test_subword.py::test_a_changed_model_is_refused_by_its_hash_and_not_parsed",
             "text/test_subword.py::test_a_model_that_charlm_did_not_make_is_refused",
             "text/test_subword.py::test_a_piece_that_is_no_text_is_refused_even_with_the_right_hash"),
        ),
        Row(
            "a run written by a newer version, or an older one",
            "4, saying which version is needed; runs of every released version load",
            ("runs/test_checkpoint.py::test_a_newer_version_says_which_is_needed",
             "runs/test_export_file.py::test_a_newer_or_foreign_file_is_refused",
             "golden/test_before_cells.py"),
        ),
        Row(
            "escape sequences, OSC, bidirectional controls in generated text, labels, file names",
            "escaped on a terminal, exact bytes when piped",
            ("faults/test_labelled_data.py::test_names_of_classes_cannot_steer_a_terminal",
             "contract/test_streams.py::test_escape_sequences_in_generated_text",
             "contract/test_streams.py::test_escape_sequences_in_scored_text",
             "contract/test_streams.py::test_escape_sequences_in_file_names"),
        ),
        Row(
            "rich markup in the user's text (`[/x]`)",
            "printed literally",
            ("contract/test_streams.py::test_markup_in_names_is_literal",
             "faults/test_labelled_data.py::test_names_of_classes_cannot_steer_a_terminal"),
        ),
        Row(
            "a planted secret in the corpus",
            "in no log, error, metrics file or traceback",
            ("contract/test_exit_codes.py::test_secret_stays_in_the_text",
             "faults/test_labelled_data.py::test_a_secret_in_a_table_is_in_no_message",
             "contract/test_exit_codes.py::test_5_diverged",
             "contract/test_exit_codes.py::test_interrupted_after_saving",
             "contract/test_exit_codes.py::test_1_our_own_bug_shows_no_text_without_debug"),
        ),
        Row(
            "no network (all sockets refused), read-only HOME, `LANG=C`",
            "everything works",
            ("faults/test_alone.py", "contract/test_streams.py::test_any_locale",
             "contract/test_streams.py::test_home_that_cannot_be_written"),
        ),
    ),
    "Bad input gets a clear answer": (
        Row(
            "invalid UTF-8",
            "3 with file, line, byte offset and a guess at the encoding",
            ("contract/test_exit_codes.py::test_3_text",
             "text/test_corpus.py::test_invalid_bytes_are_placed_or_replaced_as_python_does",
             "text/test_corpus.py::test_the_guess_at_the_encoding",
             "text/test_lines.py::test_invalid_bytes_are_placed_or_replaced"),
        ),
        Row(
            "BOM, CRLF, NUL, NFD, control characters, non-BMP characters",
            "byte-exact through every tokenizer",
            ("text/test_corpus.py::test_text_comes_through_byte_exact",
             "text/test_tokenizer_conformance.py"),
        ),
        Row(
            "a line of 200 MB; a file of 10^7 empty lines",
            "bounded memory",
            ("faults/test_large_texts.py",),
        ),
        Row(
            "an empty file; one character; a corpus shorter than a batch; one distinct symbol",
            "trains with a reduced batch and says so, or 3 stating the minimum",
            ("faults/test_small_texts.py",
             "text/test_counts_and_splits.py::test_too_small_a_text_says_what_is_needed"),
        ),
        Row(
            "characters never seen in training, in a prompt, in evaluate and in score",
            "finite bits, never a crash",
            ("evaluation/test_unseen_characters.py",
             "contract/test_generate.py::test_unseen_characters_in_a_prompt"),
        ),
        Row(
            "labelled data: ragged row, missing column, empty label, unseen label, one class only, "
            "a class with one example, 500 classes, CRLF, quotes and line breaks in cells, "
            "unbalanced quotes",
            "3 with row numbers, or works",
            ("faults/test_labelled_data.py", "text/test_labelled.py", "text/test_tables.py",
             "text/test_labelled_splits.py"),
        ),
        Row(
            "100,000 lines piped through score and classify",
            "streams, flat memory, input order kept",
            ("faults/test_long_pipes.py",),
        ),
        Row(
            "`--length 0`, empty prompt, a prompt longer than anything seen, `--top-p 0`, "
            "`--top-k` beyond V",
            "defined and documented",
            ("generation/test_generate.py::test_length_zero_is_no_text",
             "generation/test_filters.py::test_top_p_at_its_ends",
             "generation/test_filters.py::test_top_k_beyond_the_vocabulary_keeps_everything",
             "faults/test_small_texts.py::test_prompts_of_every_length"),
        ),
    ),
}  # fmt: skip


def files() -> list[str]:
    """The files of all rows, for `make faults`."""
    named = {
        test.partition("::")[0] for rows in ROWS.values() for row in rows for test in row.tests
    }
    return sorted(f"tests/{name}" for name in named)


class Seen(NamedTuple):
    """What was seen of one case of a test."""

    tries: int = 0  # 0: it was not run
    failed: bool = False
    long: bool = False


_seen: dict[str, Seen] = {}  # by test, with its parameters
_before: dict[str, Seen] = {}  # by runs before
_long = False


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--faults-table", type=Path)
    parser.addoption("--faults-seen", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    global _long
    _long = bool(config.getoption("--long"))
    kept = config.getoption("--faults-seen")
    if kept is not None and kept.exists():
        found = json.loads(kept.read_text("utf-8"))
        _before.update({case: Seen(*seen) for case, seen in found.items()})


def pytest_runtest_logreport(report: Any) -> None:
    case = report.nodeid.removeprefix("tests/")
    tries, failed, _ = _seen.get(case, Seen())
    if report.when == "call" and not report.skipped:
        tries = int(dict(report.user_properties).get("tries", 1))
    _seen[case] = Seen(tries, failed or report.failed, _long)


def _by_test() -> dict[str, Seen]:
    """The tries of each test over all its cases, whether one failed, and whether all were long."""
    found: dict[str, Seen] = {}
    for case, seen in (_before | _seen).items():
        test = case.partition("[")[0]
        tries, failed, long = found.get(test, Seen(long=True))
        found[test] = Seen(
            tries + seen.tries, failed or seen.failed, long and (seen.long or not seen.tries)
        )
    return found


def _belongs(test: str, name: str) -> bool:
    return test == name or ("::" not in name and test.startswith(f"{name}::"))


def table() -> str:
    """The rows with what was seen of their tests."""
    by_test = _by_test()
    lines = []
    for group, rows in ROWS.items():
        lines += [f"## {group}", "", "| fault | what must be true | tests | tried | result |"]
        lines.append("|---|---|---|---|---|")
        for row in rows:
            own = {
                test: seen
                for test, seen in by_test.items()
                if any(_belongs(test, name) for name in row.tests)
            }
            run = [test for test, seen in own.items() if seen.tries]
            missing = [n for n in row.tests if not any(_belongs(test, n) for test in run)]
            result = "not run" if missing else "holds"
            if any(seen.failed for seen in own.values()):
                result = "FAILED"
            elif result == "holds" and not all(own[test].long for test in run):
                result = "holds (short)"
            tests = "<br>".join(f"`{name}`" for name in row.tests)
            tried = f"{sum(seen.tries for seen in own.values()):,}"
            lines.append(f"| {row.fault} | {row.must} | {tests} | {tried} | {result} |")
        lines.append("")
    return "\n".join(lines)


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--faults-table")
    kept = session.config.getoption("--faults-seen")
    if kept is not None:
        kept.write_text(json.dumps(_before | _seen, indent=0), encoding="utf-8")
    if path is not None and _seen:
        path.write_text(HEAD + table(), encoding="utf-8")


if __name__ == "__main__":
    print(*files())
