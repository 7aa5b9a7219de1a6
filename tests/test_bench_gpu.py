"""bench/gpu.py: what it runs is what it predicts, by torch's counter on a small model in memory."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from fractions import Fraction
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import UnlimitedOcrConfig

from symcost.errors import InputError
from symcost.insight.devices import device_named
from symcost.insight.roofline import Resource
from symcost.models.deepseek_ocr.config import from_dict
from symcost.models.deepseek_ocr.geometry import Views
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.workload import Workload
from symcost.stages import Stage

H200 = device_named("H200-SXM")
DOCUMENT = "# Performance\n\nWhat evaluation.py has written.\n"
HIDDEN, EXPERT, EXPERTS, CHOSEN, SPARSE = 64, 32, 8, 3, 1
PAGES = Workload(Views(128, 64, 2, 1), 2, 20, 17)
ONE_PAGE = Workload(Views(192, 64, 0, 0), 1, 15, 1)
TEXT = Workload(None, 3, 9, 33)


def small() -> UnlimitedOcrConfig:
    return UnlimitedOcrConfig(
        image_token_id=300,
        text_config={
            "vocab_size": 320,
            "hidden_size": HIDDEN,
            "intermediate_size": 96,
            "num_hidden_layers": SPARSE + 1,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "n_routed_experts": EXPERTS,
            "num_experts_per_tok": CHOSEN,
            "moe_intermediate_size": EXPERT,
        },
        vision_config={
            "sam_config": {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "global_attn_indexes": [1],
                "mlp_dim": 64,
                "output_channels": 16,
                "downsample_channels": [16, 32],
                "image_size": 64,
                "window_size": 3,
                "initializer_range": 0.02,
            },
            "encoder_config": {
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "image_size": 56,
            },
        },
    )


CONFIG = from_dict(small().to_dict())


@pytest.fixture(scope="module", autouse=True)
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "bench"))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # more of them wait for each other where tests run side by side
        yield
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def gpu(bench):
    return import_module("gpu")


@pytest.fixture(scope="module")
def stages(bench):
    return import_module("port_stages")


@pytest.fixture(scope="module")
def port(stages):
    return stages.random_port(small(), "cpu")


@pytest.fixture
def document(tmp_path) -> Path:
    file = tmp_path / "PERFORMANCE.md"
    file.write_text(DOCUMENT)
    return file


def counted(run) -> int:
    """The products of a run: fused attention taken apart, grouped ones by their shapes."""
    grouped = {torch.ops.aten._grouped_mm: lambda rows, w, *_, **__: 2 * rows[0] * rows[1] * w[-1]}
    counter = FlopCounterMode(display=False, custom_mapping=grouped)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter:
        run()
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def products(gpu):
    """The matrix FLOPs that the bound is made of."""

    @cache
    def of(workload: Workload) -> dict[Stage, Fraction]:
        found = gpu.latency("bound", workload, H200, CONFIG, Routing())
        peak = H200.peak()
        return {stage: found.line(stage).timing.busy[Resource.MATRIX] * peak for stage in Stage}

    return of


@pytest.fixture(scope="module")
def timings(gpu):
    """A step on text, predicted as one in which a layer touches four experts."""
    return gpu.predicted(gpu.Case("text", Stage.DECODE, TEXT), H200, CONFIG, Fraction(4))


class TestRuns:
    @pytest.mark.parametrize(
        ("stage", "workload"),
        [
            *((stage, workload) for stage in Stage for workload in (PAGES, ONE_PAGE)),
            (Stage.PREFILL, TEXT),
            (Stage.DECODE, TEXT),
        ],
    )
    def test_what_runs_is_what_is_predicted_each_time(
        self, stages, port, products, stage, workload
    ):
        ready = stages.prepared(port, stage, workload)
        assert {counted(ready()), counted(ready())} == {products(workload)[stage]}

    @pytest.mark.parametrize(
        ("stage", "changed"),
        [
            (Stage.VISION, {"batch": 3}),
            (Stage.VISION, {"views": Views(128, 64, 1, 3), "context_len": 30}),
            (Stage.PREFILL, {"context_len": 21}),
            (Stage.DECODE, {"cached": 18}),
        ],
    )
    def test_another_size_is_noticed(self, stages, port, products, stage, changed):
        run = stages.prepared(port, stage, replace(PAGES, **changed))()
        assert counted(run) != products(PAGES)[stage]

    def test_all_attention_is_fused_and_sees_all_keys(self, stages, port, monkeypatch):
        calls = []
        fused = torch.nn.functional.scaled_dot_product_attention

        def noted(*given, **options):
            calls.append(options.get("is_causal", False))
            return fused(*given, **options)

        monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", noted)
        with torch.inference_mode():
            stages.prepared(port, Stage.PREFILL, PAGES)()()
        of_vision, of_decoder = 2 * (CONFIG.sam.layers + CONFIG.clip.layers), CONFIG.decoder.layers
        assert calls == [False] * (of_vision + of_decoder)

    def test_experts_that_are_touched(self, stages, port):
        one = Workload(None, 1, 1, 4)
        with torch.inference_mode():
            step = stages.prepared(port, Stage.DECODE, one)()
            assert stages.touched_experts(port, step) == CHOSEN
            many = stages.prepared(port, Stage.DECODE, replace(one, batch=200))()
            assert CHOSEN < stages.touched_experts(port, many) <= EXPERTS

    def test_samples(self, stages, port):
        timed = []

        def timer(run):
            timed.append(run().shape)
            return float(len(timed))

        experts, samples = stages.measured(port, Stage.DECODE, TEXT, timer)
        assert CHOSEN <= experts <= EXPERTS
        assert samples == [*range(1, stages.SAMPLES + 1)]
        assert set(timed) == {(TEXT.batch, 1, CONFIG.decoder.vocabulary)}

    def test_too_little_memory_gives_no_samples(self, stages, port):
        def timer(run):
            raise torch.OutOfMemoryError

        assert stages.measured(port, Stage.VISION, PAGES, timer) == (None, [])

    def test_the_clock_is_that_of_the_device(self, stages, monkeypatch):
        told = []

        class Event:
            def __init__(self, enable_timing):
                assert enable_timing

            def record(self):
                told.append(self)

            def elapsed_time(self, end):
                assert told == [self, "run", end, "waited"]
                return 250.0

        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: told.append("waited"))
        monkeypatch.setattr(stages, "CACHE_BYTES", 8)
        assert stages.device_timer("cpu")(lambda: told.append("run")) == 0.25


class TestPredictions:
    def test_experts_are_read_as_they_were_touched(self, gpu, timings):
        more = gpu.latency("bound", TEXT, H200, CONFIG, Routing(decode=Fraction(13, 16)))
        seconds = more.line("decode").timing.busy[Resource.MEMORY]
        moved = (seconds - timings["bound"].busy[Resource.MEMORY]) * H200.memory_bandwidth
        weights, bf16 = 3 * HIDDEN * EXPERT * SPARSE, 2
        assert moved == (Fraction(13, 2) - 4) * weights * bf16

    def test_the_bound_is_the_shortest(self, timings):
        assert timings["bound"].seconds < timings["fused"].seconds < timings["eager"].seconds
        assert len({timing.busy[Resource.MATRIX] for timing in timings.values()}) == 1

    def test_all_stages_are_measured(self, gpu):
        found = list(gpu.cases())
        assert {case.stage for case in found} == set(Stage)
        assert len({str(case) for case in found}) == len(found)


class TestDevices:
    def test_each_name_is_of_a_device(self, gpu):
        for name, known in gpu.DEVICES.items():
            assert gpu.known_as(name, None).name == known

    def test_one_that_is_given_comes_first(self, gpu):
        assert gpu.known_as("NVIDIA H200 MIG 1g.18gb", "a100-40gb").name == "A100-40GB"

    def test_an_unknown_one(self, gpu):
        with pytest.raises(InputError, match=r"no device for 'NVIDIA H200 NVL'; give one"):
            gpu.known_as("NVIDIA H200 NVL", None)


class TestDocument:
    def test_each_script_keeps_the_others_part(self, gpu):
        part = f"{gpu.BEGIN}\n| 1 |\n{gpu.END}"
        whole = gpu.with_part(DOCUMENT, part)
        assert whole == f"{DOCUMENT}\n{part}\n"
        assert gpu.part_of(whole) == part
        assert gpu.with_part(whole, part.replace("1", "2")) == whole.replace("1", "2")
        assert gpu.with_part("# Anew\n", gpu.part_of(whole)) == f"# Anew\n\n{part}\n"
        assert gpu.with_part("# Anew\n", gpu.part_of(DOCUMENT)) == "# Anew\n"

    def test_a_part_without_an_end(self, gpu):
        with pytest.raises(InputError, match=r"needs both of .*begin.* and .*end.* once"):
            gpu.part_of(f"{DOCUMENT}{gpu.BEGIN}\n")


class TestProgram:
    @pytest.fixture
    def device(self, gpu, stages, port, timings, monkeypatch):
        """A machine with a GPU, as far as the program can see."""
        seconds = [1.0]
        memory = SimpleNamespace(total_memory=141 << 30)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200")
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: memory)
        driver = subprocess.CompletedProcess([], 0, "570.1\n570.1\n")
        monkeypatch.setattr(gpu.subprocess, "run", lambda *_, **__: driver)
        monkeypatch.setattr(stages, "random_port", lambda *_: port)
        monkeypatch.setattr(stages, "device_timer", lambda _: lambda run: (run(), seconds[0])[1])
        asked = [gpu.Case("pages", Stage.PREFILL, PAGES), gpu.Case("text", Stage.DECODE, TEXT)]
        monkeypatch.setattr(gpu, "cases", lambda: asked)
        monkeypatch.setattr(stages, "SAMPLES", 2)
        monkeypatch.setattr(gpu, "predicted", lambda *_: timings)
        return seconds

    def test_without_a_device(self, gpu, document, monkeypatch, capsys):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert gpu.main(["--write", str(document)]) == 0
        assert capsys.readouterr().out == "no CUDA device here; nothing was measured\n"
        assert document.read_text() == DOCUMENT

    def test_without_torch(self, gpu, document, monkeypatch, capsys):
        monkeypatch.setattr(gpu, "find_spec", lambda name: None if name == "torch" else object())
        monkeypatch.setattr(gpu, "import_module", None)
        assert gpu.main(["--write", str(document)]) == 0
        told = (
            "torch is not installed, so there is no CUDA device to be asked; nothing was measured"
        )
        assert capsys.readouterr().out == f"{told}\n"
        assert document.read_text() == DOCUMENT

    @pytest.mark.parametrize("given", [["--device", "H900"], []])
    @pytest.mark.usefixtures("device")
    def test_a_device_that_is_not_known(self, gpu, monkeypatch, capsys, given):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H900")
        assert gpu.main(given) == 2
        assert capsys.readouterr().err.startswith(("error: device is 'H900'", "error: symcost has"))

    def test_measurements_are_put_into_the_document(self, gpu, device, document):
        assert gpu.main(["--write", str(document)]) == 0
        once = document.read_text()
        assert once.startswith(DOCUMENT)
        for told in ("NVIDIA H200, 141 GiB; predicted as H200-SXM", "| 570.1 |", "| pages | 2 |"):
            assert told in once
        device[0] = 2.0
        assert gpu.main(["--write", str(document)]) == 0
        again = document.read_text()
        assert again != once
        assert again == once.replace(gpu.part_of(once), gpu.part_of(again))

    def test_a_run_below_the_bound_is_refused(self, gpu, device, document):
        device[0] = 1e-9
        with pytest.raises(SystemExit) as caught:
            gpu.main(["--write", str(document)])
        assert "pages, batch 2, prefill took 1 ns, at least" in caught.value.code
        assert document.read_text() == DOCUMENT

    def test_a_single_run_below_the_bound_is_too_fast(self, gpu, timings):
        case = gpu.Case("text", Stage.DECODE, TEXT)
        bound = float(timings["bound"].seconds)
        row = gpu.Row(case, None, timings, [2 * bound] * 9)
        gpu.require_slower([row])
        assert row.cells[-1] == "2"
        with pytest.raises(SystemExit, match="text, batch 3, decode took"):
            gpu.require_slower([row, replace(row, samples=[2 * bound] * 9 + [bound / 2])])

    def test_what_memory_does_not_hold_is_told(self, gpu, timings):
        row = gpu.Row(gpu.Case("text", Stage.DECODE, TEXT), None, timings, [])
        gpu.require_slower([row])
        assert row.cells[-2:] == ("not enough memory", "–")
