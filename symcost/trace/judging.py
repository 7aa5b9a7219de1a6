"""Holding what is stated against what was traced. It takes seconds and does not need torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from math import gcd

import sympy as sp

from symcost.paths import enclosing
from symcost.symbols import CROPS, B, Expr, I_g, I_t, K, S, n_h, n_w, q, q_t
from symcost.trace.certificates import Certificate, Coverage, Failure, Method, Proof
from symcost.trace.domain import Region, gap, region, whole
from symcost.trace.quasi_polynomials import QuasiPolynomials
from symcost.trace.statements import ByModule, Claim, Formulas, expanded, of_tower, statement
from symcost.trace.traced import SIDES, STEP, Trace, Traces

_ZERO = sp.Integer(0)
_LANGUAGE, _HEAD = "model.language_model", "lm_head"
_AROUND = ("", "model")
"""The modules that hold both the vision tower and the decoder."""

_IN_FEATURES = {I_g: STEP * q, I_t: STEP * q_t}
"""Image sides by their sides in features, of which every integer is legal."""

_PATCHES = 4
"""Patches along a feature."""

SYMBOLIC = "symbolic sizes"
EVERY_SIDE = "every side"
SYMBOLIC_SIDE = "symbolic side"
PAGES = "pages"

_HOW = {
    SYMBOLIC: (
        "decoder and head are traced with symbols for batch, tokens and cached tokens; stated "
        "minus traced is identically zero"
    ),
    EVERY_SIDE: (
        "the vision tower is traced on a symbolic number of views at every side of 64*q pixels; "
        "stated minus traced is identically zero at each, and so at all larger sides, for the work "
        "of each module by itself is a quasi-polynomial that the traced sides determine"
    ),
    SYMBOLIC_SIDE: (
        "what reads SAM's features is traced with symbols for the views and the side of 64*q "
        "pixels; stated minus traced is identically zero"
    ),
    PAGES: (
        "a page is one call of the tower on B views of 64*q pixels and one on B*n_w*n_h tiles of "
        "64*q_t, and a prefill is that and the decoder: identities of the stated formulas, and of "
        "the real model traced with symbols for tokens and crop grid"
    ),
}

_ANYWHERE, _ONE_TOKEN = Region(), region([sp.Eq(S, 1)])
_ONE_PAGE_OR_TWO = whole((B, S)) & region(
    [sp.Le(B, 2), sp.Ge(S, 2), sp.Eq(K, 0), sp.Eq(q, 1), sp.Eq(q_t, 2)]
)
_CLAIMED = {
    SYMBOLIC: (whole((B, S, K)),),
    EVERY_SIDE: (whole((B, q)) & region([sp.Ge(q, SIDES[0]), sp.Le(q, SIDES[-1])]),),
    SYMBOLIC_SIDE: (whole((B, q)),),
    PAGES: (
        _ONE_PAGE_OR_TWO & region([sp.Ge(n_w, 1), sp.Ge(n_h, 1)]),
        _ONE_PAGE_OR_TWO & region([sp.Eq(n_w, 0), sp.Eq(n_h, 0)]),
    ),
}
"""The sizes that the traces of each method have to cover."""

_GRIDS = "n_w, n_h >= 1 or no tiles"
_BY_ARGUMENT = (
    "a page as calls of the tower: traced at B <= 2, sides of 64 and 128 px and K = 0, else by the "
    "argument of docs/PROOFS.md"
)
_SIDES = {
    SYMBOLIC_SIDE: f"I_g and I_t multiples of 64; {_GRIDS}",
    EVERY_SIDE: f"I_g and I_t of 64 to 2048 traced, all multiples of 64 by the lemma; {_GRIDS}",
}
_DOMAINS = {
    Claim.VISION: str(whole((B,))),
    Claim.PREFILL: str(whole((B, S, K))),
    Claim.TEXT: str(whole((B, S, K))),
    Claim.DECODE: str(whole((B, K))),
}
"""The sizes for which a certificate speaks, besides those of the views."""


def judge(formulas: Formulas, traces: Traces) -> Proof:
    """Prove the formulas by the traces, or say which are wrong and where.

    Parameters
    ----------
    formulas : mapping
        What is stated, by stage and module.
    traces : Traces
        What the real model does.
    """
    return _Judge(formulas, traces).proof()


class _Judge:
    def __init__(self, formulas: Formulas, traces: Traces) -> None:
        self._formulas = formulas
        self._traces = traces
        self._wrong: dict[tuple[Claim, str], Failure] = {}
        self._invalid: list[Failure] = []
        self._broken: set[str] = set()

    def proof(self) -> Proof:
        self._traces_are_sound()
        self._modules_exist()
        self._decoder()
        self._tower()
        self._holds_on_all_sides()
        self._features()
        self._pages()
        certificates = tuple(self._certificates())
        return Proof(
            certificates=certificates,
            failures=(*self._invalid, *self._innermost()),
            methods=self._methods,
            coverage=tuple(self._coverage(claim, certificates) for claim in Claim),
            versions=self._traces.versions,
        )

    # What makes a failure.

    def _equal(
        self,
        claim: Claim,
        path: str,
        stated: Expr,
        traced: Expr,
        where: str,
        against: str = "traced",
    ) -> None:
        """Note a failure unless two formulas are the same; the first one of a module counts."""
        difference = expanded(stated - traced)
        if difference != 0 and (claim, path) not in self._wrong:
            self._wrong[claim, path] = Failure(
                stage=claim.value,
                path=path,
                where=where,
                stated=str(expanded(stated)),
                traced=str(expanded(traced)),
                difference=str(difference),
                against=against,
            )

    def _agree(self, claim: Claim, stated: ByModule, trace: Trace) -> None:
        """Note a failure for every module at which a trace is not what is stated."""
        bound: dict[Expr, Expr] = {}
        where = f"at {_shown(trace)}"
        for path in self._traces.modules:
            if not trace.speaks_of(path):
                continue
            formula = stated.get(path, _ZERO)
            if formula not in bound:
                bound[formula] = formula.xreplace(_IN_FEATURES).xreplace(trace.sizes)
            self._equal(claim, path, bound[formula], trace.of(path), where)

    def _complete(self, method: str, traces: Iterable[Trace], within: Region = _ANYWHERE) -> None:
        """Note a failure unless traces cover what a method claims, or the part within a region."""
        regions = [trace.region for trace in traces]
        for claimed in _CLAIMED[method]:
            domain = claimed & within
            missing = gap(domain, regions)
            if missing is not None:
                self._refuse(method, f"{domain} is not covered: there is no trace for {missing}")

    def _refuse(self, method: str, why: str) -> None:
        self._broken.add(method)
        self._invalid.append(Failure("", "", f"{method}: {why}"))

    def _innermost(self) -> Iterator[Failure]:
        """The failures of modules that hold no other failing one."""
        outer = {
            (claim, around)
            for claim, path in self._wrong
            if path
            for around in enclosing(path.rpartition(".")[0])
        }
        return (failure for key, failure in self._wrong.items() if key not in outer)

    # What has to hold.

    def _traces_are_sound(self) -> None:
        self._invalid += [Failure("", "", error) for error in self._traces.errors]
        for method, traces in self._by_method.items():
            for gaps in dict.fromkeys(text for trace in traces for text in trace.undeclared):
                self._refuse(method, gaps)

    def _modules_exist(self) -> None:
        """A formula is that of a module, or of an operator in a module."""
        known = set(self._traces.modules)
        for claim, formulas in self._formulas.items() if known else ():
            for path in formulas:
                for module in enclosing(path.rpartition(".")[0]):
                    if module not in known and (claim, module) not in self._wrong:
                        self._wrong[claim, module] = Failure(
                            claim.value, module, "is stated, and the real model has no such module"
                        )

    def _decoder(self) -> None:
        self._complete(SYMBOLIC, self._traces.decoder)
        for trace in self._traces.decoder:
            self._agree(Claim.TEXT, self._formulas[Claim.TEXT], trace)
        self._complete(SYMBOLIC, self._steps, within=_ONE_TOKEN)
        for trace in self._steps:
            self._agree(Claim.DECODE, self._formulas[Claim.DECODE], trace)

    def _tower(self) -> None:
        self._complete(EVERY_SIDE, self._traces.tower)
        for trace in self._traces.tower:
            self._agree(Claim.VISION, self._of_tower, trace)

    def _holds_on_all_sides(self) -> None:
        """What modules do by themselves are quasi-polynomials, and the sides determine them."""
        at_side = {int(t.sizes[q]): t for t in self._traces.tower if t.sizes[B] == B}
        if set(at_side) != set(SIDES):
            return
        paths = [path for path in self._traces.modules if at_side[SIDES[0]].speaks_of(path)]
        for path in paths:
            kind = self._kind(path)
            stated = self._alone(self._of_tower, path).xreplace(_IN_FEATURES)
            traced = {side: self._alone(t.counted, path) for side, t in at_side.items()}
            if not kind.determined_by(range(SIDES[0], SIDES[-1] + 1)):
                self._refuse(EVERY_SIDE, f"{path}: too few sides for {kind}")
            elif not all(map(_linear, (stated, *traced.values()))):
                self._refuse(EVERY_SIDE, f"{path}: its own work is not linear in the views")
            elif not kind.hold(_of_one_view(stated), q):
                self._refuse(EVERY_SIDE, f"{path}: what is stated of its own work is not of {kind}")
            elif not kind.fit({side: int(_of_one_view(own)) for side, own in traced.items()}):
                self._refuse(EVERY_SIDE, f"{path}: what is traced of its own work is not of {kind}")

    def _features(self) -> None:
        """The sides that torch's guard leaves out are among those of the tower's traces."""
        self._complete(SYMBOLIC_SIDE, (*self._traces.features, *self._traces.tower))
        for trace in self._traces.features:
            self._agree(Claim.VISION, self._of_tower, trace)

    def _pages(self) -> None:
        self._complete(PAGES, self._traces.pages)
        for trace in self._traces.pages:
            self._agree(Claim.VISION, self._formulas[Claim.VISION], _without_decoder(trace))
            self._agree(Claim.PREFILL, self._formulas[Claim.PREFILL], trace)
        for path in self._traces.modules:
            self._is_sum_of_parts(path)

    def _is_sum_of_parts(self, path: str) -> None:
        """What is stated of a page is two calls of the tower, and of a prefill a page and text."""
        vision, prefill, text = (
            self._formulas[claim].get(path, _ZERO)
            for claim in (Claim.VISION, Claim.PREFILL, Claim.TEXT)
        )
        call = self._of_tower.get(path, _ZERO)
        calls = call + call.xreplace({B: B * CROPS, I_g: I_t})
        self._equal(Claim.VISION, path, vision, calls, "as stated", "a call on views and on tiles")
        if (Claim.VISION, path) not in self._wrong and (Claim.TEXT, path) not in self._wrong:
            self._equal(Claim.PREFILL, path, prefill, vision + text, "as stated", "page and text")
        if path in _AROUND:
            for claim in (Claim.VISION, Claim.PREFILL):
                alone = self._alone(self._formulas[claim], path)
                self._equal(claim, path, alone, _ZERO, "without its modules")

    # What is looked up more than once.

    @cached_property
    def _of_tower(self) -> ByModule:
        return of_tower(self._formulas[Claim.VISION])

    @property
    def _steps(self) -> tuple[Trace, ...]:
        return tuple(trace for trace in self._traces.decoder if trace.sizes[S] == 1)

    @cached_property
    def _by_method(self) -> dict[str, tuple[Trace, ...]]:
        traces = self._traces
        return {
            SYMBOLIC: traces.decoder,
            EVERY_SIDE: traces.tower,
            SYMBOLIC_SIDE: traces.features,
            PAGES: traces.pages,
        }

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        children: dict[str, list[str]] = {path: [] for path in self._traces.modules}
        for path in self._traces.modules:
            if path:
                children[path.rpartition(".")[0]].append(path)
        return children

    def _alone(self, formulas: ByModule, path: str) -> Expr:
        """What a module does by itself: all of it without what its modules do."""
        inside = (formulas.get(child, _ZERO) for child in self._children.get(path, ()))
        return expanded(formulas.get(path, _ZERO) - sp.Add(*inside))

    def _kind(self, path: str) -> QuasiPolynomials:
        """What the work of a module of the tower by itself is as a function of the side.

        docs/PROOFS.md says why.
        """
        for module in enclosing(path):
            window = self._traces.windows.get(module)
            if window is not None:
                return QuasiPolynomials(degree=2, period=window // gcd(window, _PATCHES))
        return QuasiPolynomials(degree=4, period=1)

    # The outcome.

    @cached_property
    def _methods(self) -> dict[str, Method]:
        return {name: self._method(name) for name in _HOW}

    def _method(self, name: str) -> Method:
        traces = self._by_method[name]
        guards = dict.fromkeys(str(guard) for trace in traces for guard in trace.guards)
        return Method(
            name=name,
            how=_HOW[name],
            domain="; ".join(map(str, _CLAIMED[name])),
            cases=tuple(map(_shown, traces)),
            guards=tuple(guards),
        )

    def _certificates(self) -> Iterator[Certificate]:
        for claim in Claim:
            for path in self._working(claim):
                names = self._proved_by(claim, path)
                if self._broken.isdisjoint(names) and not self._is_wrong(claim, path):
                    yield Certificate(
                        stage=claim.value,
                        path=path,
                        statement=statement(self._formulas[claim][path]),
                        methods=names,
                        domain=self._domain(claim, names),
                        guards=tuple(
                            dict.fromkeys(g for name in names for g in self._methods[name].guards)
                        ),
                    )

    def _is_wrong(self, claim: Claim, path: str) -> bool:
        """Whether a formula is, or one that it rests on."""
        rests_on = (Claim.VISION, Claim.TEXT) if claim is Claim.PREFILL else ()
        return any((other, path) in self._wrong for other in (claim, *rests_on))

    def _working(self, claim: Claim) -> list[str]:
        """The modules that do matrix work in a stage."""
        traces: Iterable[Trace] = {
            Claim.VISION: map(_without_decoder, self._traces.pages),
            Claim.PREFILL: self._traces.pages,
            Claim.TEXT: self._traces.decoder,
            Claim.DECODE: self._steps,
        }[claim]
        work = {path for trace in traces for path, flops in trace.counted.items() if flops != 0}
        return [path for path in self._traces.modules if path in work]

    def _proved_by(self, claim: Claim, path: str) -> tuple[str, ...]:
        if claim in (Claim.TEXT, Claim.DECODE):
            return (SYMBOLIC,)
        if _in_decoder(path):
            return (SYMBOLIC, PAGES)
        any_side = any(trace.speaks_of(path) for trace in self._traces.features)
        tower = SYMBOLIC_SIDE if any_side else EVERY_SIDE
        both = claim is Claim.PREFILL and path in _AROUND
        return (tower, SYMBOLIC, PAGES) if both else (tower, PAGES)

    def _domain(self, claim: Claim, methods: tuple[str, ...]) -> str:
        sizes = _DOMAINS[claim if SYMBOLIC in methods else Claim.VISION]
        parts = [sizes, *(_SIDES[name] for name in methods if name in _SIDES)]
        return "; ".join([*parts, _BY_ARGUMENT] if PAGES in methods else parts)

    def _coverage(self, claim: Claim, certificates: Sequence[Certificate]) -> Coverage:
        work = len(self._working(claim))
        certified = sum(certificate.stage == claim for certificate in certificates)
        return Coverage(claim.value, work, certified, len(self._traces.modules) - work)


def _shown(trace: Trace) -> str:
    return str(trace.region)


def _in_decoder(path: str) -> bool:
    return any(module in (_LANGUAGE, _HEAD) for module in enclosing(path))


def _without_decoder(trace: Trace) -> Trace:
    """What a prefill does before the decoder runs: the vision stage."""
    decoder = trace.of(_LANGUAGE)
    vision = {path: flops for path, flops in trace.counted.items() if not _in_decoder(path)}
    for path, others in (("model", decoder), ("", decoder + trace.of(_HEAD))):
        vision[path] = expanded(trace.of(path) - others)
    return replace(trace, counted=vision)


def _of_one_view(formula: Expr) -> Expr:
    return formula.xreplace({B: sp.Integer(1)})


def _linear(formula: Expr) -> bool:
    """Whether a formula is as many times that of one view."""
    return bool(expanded(formula - B * _of_one_view(formula)) == 0)
