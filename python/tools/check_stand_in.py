"""Runs real DSPy against the stand-in language model, and keeps the answers that it could read.

    cargo build -p dspex-runtime --example answer_lm_request
    python python/tools/check_stand_in.py target/debug/examples/answer_lm_request [--check]

Every case of `lm_goldens.py` is run with every adapter: all must end without an error, without a second try
in another format, and with values that keep the constraints which DSPy itself does not enforce.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Annotated, Any

import dspy
import golden_prompts
import golden_signatures
import lm_goldens
import pydantic

# XMLAdapter shows the names of a nested model's fields but not their types: nobody can know them.
UNANSWERABLE = {
    ("xml", f"predict_{case}") for case in ("nested", "nested_list", "optional_nested", "recursive")
}

# How many requests a case takes; each other case takes one.
TURNS = {"react": 3, "react_v2": 2, "react_v2_forced": 2}


class StandIn:
    """The stand-in as a child process: one request a line, one answer a line."""

    def __init__(self, binary: str) -> None:
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


def problems(program: dspy.Module, prediction: dspy.Prediction) -> list[str]:
    """Fields that are missing or against their type, constraints included."""
    signature = program.signature if hasattr(program, "signature") else program.predict.signature
    found = []
    for name, field in signature.output_fields.items():
        if name not in prediction:
            found.append(f"{name} is missing")
            continue
        # The constraints, which DSPy tells the model and does not check itself.
        annotation: Any = field.annotation
        for constraint in field.metadata:
            annotation = Annotated[annotation, constraint]
        try:
            pydantic.TypeAdapter(annotation).validate_python(prediction[name])
        except pydantic.ValidationError as error:
            found.append(f"{name} = {prediction[name]!r}: {error.errors()[0]['msg']}")
    return found


def constraint_problems(case: str, prediction: dspy.Prediction) -> list[str]:
    """What the worker itself would refuse."""
    outputs = golden_signatures.SCHEMAS.get(case.removeprefix("schema_"))
    if not case.startswith("schema_") or outputs is None:
        return []
    found = []
    for field in golden_signatures.worker_signature(outputs).outputs:
        try:
            field.type.validator.validate_python(prediction[field.name])
        except ValueError as error:
            found.append(f"{field.name} = {prediction[field.name]!r}: {error}")
    return found


def run(stand_in: StandIn, verbose: bool) -> tuple[list[dict[str, Any]], list[str]]:
    goldens, failures = [], []
    for adapter_name, adapter in golden_prompts.ADAPTERS.items():
        for engine in (golden_prompts.Recorder, golden_prompts.Plain):
            if engine is golden_prompts.Plain and adapter_name != "json":
                continue
            label = f"{adapter_name}_plain" if engine is golden_prompts.Plain else adapter_name
            for case, build in golden_prompts.modules().items():
                recorder = engine(stand_in)
                lm = dspy.LM("rust/model", engine=recorder, cache=False)
                program, inputs = build()
                found: list[str] = []
                prediction: Any = None
                with dspy.context(lm=lm, adapter=adapter(), trace=[], disable_history=True):
                    try:
                        prediction = program(**inputs)
                        found = problems(program, prediction) + constraint_problems(case, prediction)
                    except Exception as error:
                        found = [f"{type(error).__name__}: {str(error)[:1500]}"]
                if len(recorder.requests) != TURNS.get(case, 1):
                    found.append(f"took {len(recorder.requests)} requests")
                if verbose:
                    print(f"{label:11} {case:28} {str(prediction)[:700] if prediction is not None else '-'}")
                if (label, case) in UNANSWERABLE:
                    continue
                failures += [f"{label} {case}: {problem}" for problem in found]
                turns = [
                    {"response": response} if index == 0 else {"request": request, "response": response}
                    for index, (request, response) in enumerate(
                        zip(recorder.requests, recorder.responses, strict=True)
                    )
                ]
                goldens.append({"case": case, "adapter": label, "turns": turns})
    return goldens, failures


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("binary", help="the built example answer_lm_request")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--verbose", action="store_true", help="print every answer")
    arguments = parser.parse_args()
    goldens, failures = run(StandIn(arguments.binary), arguments.verbose)
    for failure in failures:
        print(failure, file=sys.stderr)
    if failures:
        return 1
    path = lm_goldens.GOLDEN / "stand_in.json"
    text = json.dumps(goldens, indent=1, ensure_ascii=False) + "\n"
    if not arguments.check:
        path.write_text(text, "utf-8")
    elif not path.exists() or path.read_text("utf-8") != text:
        print(f"stale: {path.name}; run python/tools/check_stand_in.py", file=sys.stderr)
        return 1
    print(f"{len(goldens)} programs ran")
    return 0


if __name__ == "__main__":
    sys.exit(main())
