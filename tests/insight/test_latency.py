"""Rooflines, against costs that are built with numbers and peaks that are written out here."""

from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

import pytest

import symcost
from symcost.cost import MACS, VECTOR_FLOPS, Cost, Entry, Traffic
from symcost.errors import DomainError, InputError
from symcost.insight.collectives import AllReduce, all_sent_bytes
from symcost.insight.devices import Device, device_named, known_devices
from symcost.insight.latency import Latency, Rooflines, needed
from symcost.insight.roofline import AT_BEST, Efficiency, Granularity, Resource
from symcost.insight.subject import Subject
from symcost.models.deepseek_ocr.parallel import ONE_DEVICE, Parallel
from symcost.models.deepseek_ocr.workload import Workload, collectives_of, costs_of

STEPS = 50
A100 = device_named("A100-40GB")
PEAK, VECTOR, BANDWIDTH = 312 * 10**12, 195 * 10**11, 1555 * 10**9


def builder(execution, parallel=ONE_DEVICE):
    return lambda views: symcost.load(
        "deepseek-ocr", views=views, execution=execution, lm_head="last", parallel=parallel
    )


def workload(batch=1):
    return Workload.from_options(batch=batch, new_tokens=STEPS)


def rooflines(execution="ideal", granularity=Granularity.STAGE, parallel=ONE_DEVICE) -> Rooflines:
    assumed = {"parallel": parallel}
    return Rooflines(
        Subject.of("deepseek-ocr", "batch", execution=execution, new_tokens=STEPS, assumed=assumed),
        granularity,
    )


@pytest.fixture(scope="module")
def ideal() -> Rooflines:
    return rooflines()


def slowest(cost) -> Fraction:
    """The slowest engine of an A100 on a cost in numbers, from its ledger's resources."""
    traffic = sum(int(cost[r].amount) for r in cost if isinstance(r, Traffic))
    macs, vector = int(cost[MACS].amount), int(cost[VECTOR_FLOPS].amount)
    return max(Fraction(2 * macs, PEAK), Fraction(vector, VECTOR), Fraction(traffic, BANDWIDTH))


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_a_stage_takes_as_long_as_its_slowest_engine(ideal, batch):
    costs = costs_of(builder("ideal"), workload(batch))
    found = ideal.at(A100, batch)
    for stage in ("vision", "prefill", "decode"):
        assert found.line(stage).timing.seconds == slowest(costs.stages[stage])
    for part in ("vision", "decoder", "lm_head"):
        assert found.line("prefill", part).timing.seconds == slowest(
            costs.stages["prefill"].parts[part]
        )
    assert found.ttft.seconds == slowest(costs.stages["prefill"])
    assert found.tpot.seconds * STEPS == slowest(costs.stages["decode"])
    assert found.request == found.ttft.seconds + STEPS * found.tpot.seconds
    assert found.requests_per_second == batch / found.request
    assert found.resident == costs.generation.resident_bytes


def test_no_batch_and_no_schedule_does_more(ideal):
    """What one more sequence adds to a batch that reads every expert already."""
    more, many = (costs_of(builder("ideal"), workload(b)).generation for b in (901, 900))
    added = {r: int(more[r].amount) - int(many[r].amount) for r in more}
    traffic = sum(amount for r, amount in added.items() if isinstance(r, Traffic))
    took = max(
        Fraction(2 * added[MACS], PEAK),
        Fraction(added[VECTOR_FLOPS], VECTOR),
        Fraction(traffic, BANDWIDTH),
    )
    for batch in (1, 9, 400, 10**6):
        found = ideal.at(A100, batch)
        assert found.most_requests_per_second == 1 / took
        assert found.requests_per_second < found.most_requests_per_second


def test_a_request_goes_on_from_its_own_prefill():
    elsewhere = Rooflines(Subject.of("deepseek-ocr", "batch", new_tokens=STEPS, cached=0))
    one, other = elsewhere.at(A100, 8), rooflines().at(A100, 8)
    assert one.tpot.seconds < other.tpot.seconds
    assert one.request == other.request
    assert one.most_requests_per_second == other.most_requests_per_second


def test_kernels_one_after_the_other():
    """Under eager execution every operator is a kernel, once for each view that it runs on."""
    costs = costs_of(builder("eager"), workload(3))
    found = rooflines("eager", Granularity.KERNEL).at(A100, 3)
    alone = Workload.from_options(mode="base").views
    model = builder("eager")(alone)
    model.start_vision(3)
    whole = model.get_forward_cost()

    def kernels(cost):
        for path in cost.paths:
            share = cost.at(path)
            yield replace(share, entries=tuple(e for e in share.entries if e.path == path))

    decode = costs.stages["decode"]
    assert found.line("decode").timing.seconds == sum(map(slowest, kernels(decode)))
    # The tiles of a page are what is beside its global view; both run the same operators.
    vision = costs.stages["vision"]
    seconds = Fraction()
    for kernel in kernels(vision):
        view = whole.at(kernel.entries[0].path)
        view = replace(
            view, entries=tuple(e for e in view.entries if e.path == kernel.entries[0].path)
        )
        seconds += slowest(view) + slowest(less(kernel, view))
    assert found.line("vision").timing.seconds == seconds


def less(cost, other):
    """What a cost has beside another one."""
    left = {}
    for sign, entries in ((1, cost.entries), (-1, other.entries)):
        for entry in entries:
            left[entry.resource] = left.get(entry.resource, 0) + sign * entry.amount
    return Cost(tuple(Entry("tiles", resource, amount) for resource, amount in left.items()))


def test_one_kernel_for_each_graph_where_everything_is_fused():
    costs = costs_of(builder("ideal"), workload(2))
    found = rooflines("ideal", Granularity.KERNEL).at(A100, 2)
    parts = costs.stages["prefill"].parts.values()
    assert found.ttft.seconds == sum(slowest(part) for part in parts)


@pytest.mark.parametrize("execution", ["fused", "eager"])
def test_kernels_are_never_faster_than_the_stage(execution):
    stage = rooflines(execution).at(A100, 4)
    kernel = rooflines(execution, Granularity.KERNEL).at(A100, 4)
    for one, other in zip(stage.lines, kernel.lines, strict=True):
        assert one.timing.busy == other.timing.busy
        assert one.timing.seconds <= other.timing.seconds
    assert stage.ttft.seconds < kernel.ttft.seconds


def test_nothing_that_runs_is_faster_than_the_bound(ideal):
    for execution in ("eager", "fused", "ideal"):
        for granularity in Granularity:
            found = rooflines(execution, granularity).at(A100, 8)
            bound = ideal.at(A100, 8)
            assert bound.ttft.seconds <= found.ttft.seconds
            assert bound.tpot.seconds <= found.tpot.seconds


def test_shares_of_peaks(ideal):
    best, half = ideal.at(A100, 5), ideal.at(A100, 5, efficiency=Efficiency.parse("1/2"))
    assert half.ttft.seconds == 2 * best.ttft.seconds
    memory = ideal.at(A100, 5, efficiency=Efficiency.parse("memory=0.25"))
    assert memory.tpot.busy[Resource.MEMORY] == 4 * best.tpot.busy[Resource.MEMORY]
    assert memory.tpot.busy[Resource.MATRIX] == best.tpot.busy[Resource.MATRIX]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0.5", "0.5"),
        ("1", "1"),
        ("1/3", "1/3"),
        ("0.99999999", "0.99999999"),
        ("matrix=0.6,memory=4/5", "matrix=0.6,memory=0.8"),
    ],
)
def test_efficiencies_are_told_as_they_are_given(text, told):
    assert str(Efficiency.parse(text)) == told


@pytest.mark.parametrize("text", ["0", "1.01", "-1", "matrix", "speed=1", "matrix=", "", "1e0"])
def test_efficiencies_that_are_none(text):
    with pytest.raises(InputError, match=r"efficiency is .*; allowed: a share above 0"):
        Efficiency.parse(text)


@pytest.mark.parametrize("share", ["1", "0.4"])
def test_a_device_with_what_a_target_needs_meets_it_exactly(ideal, share):
    efficiency = Efficiency.parse(share)
    targets = {"ttft": Fraction(1, 7), "tpot": Fraction(3, 1000)}
    needs = needed(ideal, targets, 9, efficiency)
    for target, seconds in targets.items():
        rate = {need.resource: need.rate for need in needs if need.target == target}
        device = replace(
            A100,
            matrix=MappingProxyType({"bf16": rate[Resource.MATRIX]}),
            vector=rate[Resource.VECTOR],
            memory_bandwidth=rate[Resource.MEMORY],
        )
        found: Latency = ideal.at(device, 9, efficiency=efficiency)
        assert getattr(found, target).seconds == seconds
        assert set(getattr(found, target).busy.values()) >= {seconds}


@pytest.mark.parametrize("memory", [7, 8, 10])
def test_the_largest_batch_that_fits(ideal, memory):
    device = replace(A100, memory=Fraction(memory * 10**9))
    ((first, last),) = ideal.largest_batch(device).ranges
    assert first == 1
    held = [
        costs_of(builder("ideal"), workload(batch)).generation.resident_bytes
        for batch in (last, last + 1)
    ]
    assert held[0] <= memory * 10**9 < held[1]


def test_a_model_that_does_not_fit(ideal):
    with pytest.raises(DomainError, match=r"no batch meets generation.resident_bytes <= 6GB"):
        ideal.largest_batch(replace(A100, memory=Fraction(6 * 10**9)))


@pytest.mark.parametrize("granularity", Granularity)
def test_links_of_several_devices(granularity):
    spread = Parallel(tensor=2, expert=2, data=4)
    found = rooflines("fused", granularity, spread).at(A100, 16)
    sent = collectives_of(builder("fused", spread), workload(16))
    for stage in ("vision", "prefill", "decode"):
        link = found.line(stage).timing.busy[Resource.LINK]
        assert link == Fraction(all_sent_bytes(sent[stage], AllReduce.RING)) / A100.link_bandwidth
    parts = [found.line("prefill", part).timing for part in ("vision", "decoder", "lm_head")]
    together = sum(timing.busy.get(Resource.LINK, 0) for timing in parts)
    assert together == found.ttft.busy[Resource.LINK]


def test_a_device_without_a_link_is_refused_where_one_is_needed():
    alone = replace(A100, link_bandwidth=None)
    with pytest.raises(InputError, match="states no link_bandwidth"):
        rooflines(parallel=Parallel(tensor=2)).at(alone, 1)
    assert rooflines().at(alone, 1).ttft.seconds > 0


def test_the_published_throughput_lies_below_the_bound():
    """The model card: over 200,000 pages a day, and about 2,500 tokens a second, on an A100-40G."""
    pages, tokens = 200_000, 2500
    steps = round(tokens * 24 * 3600 / pages)
    lines = Rooflines(Subject.of("deepseek-ocr", "batch", new_tokens=steps))
    best = lines.at(A100, lines.largest_batch(A100).ranges[0][1])
    assert pages < best.requests_per_second * 24 * 3600 < best.most_requests_per_second * 24 * 3600


def test_every_device_of_the_table(ideal):
    for device in known_devices().values():
        assert isinstance(device, Device)
        found = ideal.at(device, 1)
        assert found.ttft.bound is Resource.MATRIX
        assert found.tpot.bound is Resource.MEMORY
    assert str(AT_BEST) == "1"
