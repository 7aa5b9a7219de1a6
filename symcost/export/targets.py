"""Figures as steps on whole numbers, which the languages print: each step once, under a name."""

from __future__ import annotations

import keyword
import math
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from symcost.cost import METRICS
from symcost.errors import DomainError, InputError
from symcost.numeric.forms import Atom, Figure, Forms, Kind, Polynomial, Term
from symcost.symbols import CATALOGUE, Expr, SymbolInfo
from symcost.version import __version__

Sum: TypeAlias = tuple[tuple[int, str], ...]
"""Numbers times names; the name of a number by itself is empty."""


@dataclass(frozen=True)
class About:
    """What exported code says of itself.

    Parameters
    ----------
    model : str
        Whose figures these are. C names begin with it, and the header is MODEL.h.
    assumptions : mapping of str to str
        What the figures hold for, such as {"execution": "eager"}.
    stages : mapping of str to str
        What a stage is, in a phrase each.
    """

    model: str
    assumptions: Mapping[str, str] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name(self.identifier)
        for name, value in {**self.assumptions, **self.stages}.items():
            # What stands in comments must not end them.
            if not (f"{name}{value}".isprintable() and not re.search(r'\*/|"""|\\', name + value)):
                raise InputError(f"{name} is {value!r}, which has no place in a comment")

    @property
    def identifier(self) -> str:
        """The model's name where only letters, digits and underscores may stand."""
        return self.model.replace("-", "_")

    @property
    def title(self) -> str:
        """The first line of a file."""
        return f"What {self.model} costs, by stage; written by symcost {__version__}."

    @property
    def assumed(self) -> str:
        """What the figures hold for."""
        return "All figures are exact" + (f", for {self.given}." if self.given else ".")

    @property
    def given(self) -> str:
        """The assumptions in a line."""
        return "; ".join(f"{name} {value}" for name, value in self.assumptions.items())

    def stage(self, name: str) -> str:
        """What a stage is, as a sentence begins."""
        told = self.stages.get(name, name)
        return told[0].upper() + told[1:]


@dataclass(frozen=True)
class Step:
    """A name, and how it is made of names before it.

    Parameters
    ----------
    kind : Kind or None
        None for a product.
    factors : tuple of str
        What a product multiplies.
    arguments : tuple of Sum
        What anything else is made of.
    number : int
        What a size or a rounded sum is divided by.
    table : str
        Where it is looked up.
    """

    name: str
    kind: Kind | None
    factors: tuple[str, ...] = ()
    arguments: tuple[Sum, ...] = ()
    number: int = 1
    table: str = ""


@dataclass(frozen=True)
class Result:
    """A figure: figures before it and the largest of some sums over a number, added up.

    Parameters
    ----------
    name, field : str
        As it was asked for, and as it is called in its stage.
    known : tuple of str
        The fields that it holds.
    sums : tuple of Sum
        None where it is nothing but what it holds.
    denominator : int
        It divides the sums unless the figure is a fraction.
    fraction : bool
        Whether the figure need not be whole.
    whole : bool
        Whether it is whole where all sizes are.
    """

    name: str
    field: str
    known: tuple[str, ...]
    sums: tuple[Sum, ...]
    denominator: int
    fraction: bool
    whole: bool

    @property
    def about(self) -> str:
        """What it is and of what, in a phrase."""
        _, *parts, metric = self.name.split(".")
        return f"{'.'.join(parts)}: {METRICS[metric]}" if parts else METRICS[metric]


@dataclass(frozen=True)
class Routine:
    """All figures of one stage.

    Parameters
    ----------
    stage : str
        Its name.
    sizes : tuple of SymbolInfo
        What it takes.
    steps : tuple of Step
        In order.
    results : tuple of Result
        In the order in which they are computed.
    fields : tuple of Result
        The same in the order in which they were asked for.
    """

    stage: str
    sizes: tuple[SymbolInfo, ...]
    steps: tuple[Step, ...]
    results: tuple[Result, ...]
    fields: tuple[Result, ...]

    @property
    def class_name(self) -> str:
        """What languages with types call its figures."""
        return "".join(word.capitalize() for word in self.stage.split("_")) + "Figures"

    @property
    def fractions(self) -> list[str]:
        """The figures that need not be whole."""
        return [result.name for result in self.fields if result.fraction]


@dataclass(frozen=True)
class Code:
    """What the languages print.

    Parameters
    ----------
    routines : tuple of Routine
        One for each stage.
    tables : mapping of str to tuple of int
        What is looked up, by name.
    """

    routines: tuple[Routine, ...]
    tables: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, figures: Mapping[str, Expr]) -> Code:
        """The code of figures.

        Parameters
        ----------
        figures : mapping of str to sympy.Expr
            By STAGE[.PART…].METRIC.

        Raises
        ------
        InputError
            A name is none of these, or there are no figures.
        DomainError
            A formula holds what `symcost.numeric.forms` does not know.
        """
        for name in figures:
            stage, _, rest = name.partition(".")
            if rest.rpartition(".")[2] not in METRICS:
                raise InputError(f"figure {name!r} is no STAGE[.PART…].METRIC of {list(METRICS)}")
            _check_name(stage)
        if not figures:
            raise InputError("there are no figures to export; ask for at least one")
        forms = Forms(figures)
        names = _Names(forms.atoms)
        stages: dict[str, list[Figure]] = {}
        for figure in forms.figures:
            stages.setdefault(figure.name.partition(".")[0], []).append(figure)
        routines = tuple(
            _Stage(forms.atoms, names, name, found).routine for name, found in stages.items()
        )
        return cls(routines, names.tables)

    @property
    def sizes(self) -> tuple[SymbolInfo, ...]:
        """What the stages take, all together."""
        used = {info for routine in self.routines for info in routine.sizes}
        return tuple(info for info in CATALOGUE.values() if info in used)

    def require_whole(self, language: str) -> None:
        """Refuse what a language without fractions cannot hold.

        Raises
        ------
        DomainError
            A figure need not be a whole number where all sizes are.
        """
        for routine in self.routines:
            for result in routine.fields:
                if result.whole:
                    continue
                raise DomainError(
                    f"{result.name} need not be a whole number, which is all that {language} code "
                    "holds exactly; give widths that make it one, or export python, json or latex"
                )


WIDTH = 100
"""So long lines of code are."""
_TOGETHER = re.compile(r" \* |\{[^{}]*\}")


def wrapped(text: str, indent: str, hanging: str = "") -> list[str]:
    """Lines that break at spaces, but not within products and braces; later ones hang."""
    kept = _TOGETHER.sub(lambda match: match[0].replace(" ", "\0"), text)
    lines = textwrap.wrap(
        kept,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in lines]


Call: TypeAlias = tuple[str, Sequence[str]]
"""What is called, with what; nothing is called of a single value."""


def laid_out(head: str, call: Call, tail: str, indent: str, *, bare: bool = False) -> list[str]:
    """A value between head and tail: on one line, or one line or more for each argument.

    Parameters
    ----------
    bare : bool
        Whether a value needs no brackets where it takes several lines.
    """
    called, arguments = call
    joined = ", ".join(arguments)
    line = f"{indent}{head}{f'{called}({joined})' if called else joined}{tail}"
    if len(line) <= WIDTH:
        return [line]
    step = indent or "    "
    *most, last = arguments
    if bare and not called:
        return [f"{indent}{head}".rstrip(), *wrapped(last + tail, indent + step)]
    hanging = step if most else ""
    return [
        f"{indent}{head}{called}(",
        *(part for one in most for part in wrapped(f"{one},", indent + step, hanging)),
        *wrapped(last, indent + step, hanging),
        f"{indent}){tail}",
    ]


def written(terms: Sum, suffix: str = "") -> str:
    """A sum in the signs that Python and JavaScript share; numbers end in a suffix."""
    text = ""
    for number, name in terms:
        size = f"{abs(number)}{suffix}"
        factor = size if not name else name if abs(number) == 1 else f"{size} * {name}"
        sign = (" - " if number < 0 else " + ") if text else "-" if number < 0 else ""
        text += sign + factor
    return text or f"0{suffix}"


IN_TABLES = (
    "Entry n of a table is what formulas make of n that raise a fraction to the power of n; "
    "beyond its last one they do not change."
)


def whole_domain(info: SymbolInfo) -> str:
    """The domain of a size in languages that take whole numbers only."""
    return info.domain if info.integer else "positive integer"


def described(info: SymbolInfo, domain: str) -> str:
    """What a size is, in which unit and of which domain."""
    return f"{info.meaning} [{info.unit}]; a {domain}"


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name, re.ASCII) or keyword.iskeyword(name):
        raise InputError(f"{name!r} cannot be the name of a function; use letters and digits")


_STEPS = {"I_g": "q", "I_t": "q_t"}
"""What sizes are called where they are counted in the steps that they come in."""

_CALLED = {
    Kind.FLOOR: "rounded",
    Kind.LEAST: "least",
    Kind.GREATEST: "greatest",
    Kind.MAGNITUDE: "distance",
}

_CROPS = ("n_h", "n_w")

_MADE_OF = {
    "flops": ("matrix_flops", "vector_flops"),
    "bytes_moved": ("bytes_read", "bytes_written"),
    "resident_bytes": ("weight_bytes", "activation_bytes", "kv_bytes", "gradient_bytes"),
}
"""Figures that are sums of others."""


class _Names:
    """What atoms, products of atoms and tables are called."""

    def __init__(self, atoms: Sequence[Atom]) -> None:
        self._taken = Counter(CATALOGUE.keys())
        self._order = {name: place for place, name in enumerate(CATALOGUE)}
        self._atoms = atoms
        self._sizes = {atom.size.name for atom in atoms if atom.size is not None}
        self._products: dict[Term, str] = {(): ""}
        self.tables: dict[str, tuple[int, ...]] = {}
        self.atoms: list[str] = []
        for atom in atoms:
            self.atoms.append(self._atom(atom))

    @property
    def all(self) -> Iterable[str]:
        """Everything that is called something."""
        return self._taken

    def _atom(self, atom: Atom) -> str:
        if atom.size is not None:
            info = atom.size
            if info.multiple_of == 1:
                return info.name
            long = f"{info.name}_by_{info.multiple_of}"
            steps = _STEPS.get(info.name, long)
            return long if steps in self._sizes else steps
        called = self.table(atom.table).lower() if atom.table else _CALLED[atom.kind]
        if atom.kind is Kind.LEAST and {(): 1} in [argument.terms for argument in atom.arguments]:
            parts = {number for p in atom.arguments for term in p.terms for number in term}
            kinds = {self._atoms[number].kind for number in parts}
            called = "differs" if kinds == {Kind.MAGNITUDE} else "any"
        return self._free("_".join([called, *sorted(atom.names, key=self._order.__getitem__)]))

    def _free(self, name: str) -> str:
        self._taken[name] += 1
        return name if self._taken[name] == 1 else self._free(f"{name}_{self._taken[name]}")

    def product(self, term: Term) -> str:
        """The name of an atom or of a product of some; that of none is empty."""
        if len(term) == 1:
            return self.atoms[term[0]]
        if term not in self._products:
            sizes = [n for n in term if self._atoms[n].size is not None]
            powers = Counter(self.atoms[n].replace("_", "") for n in sizes)
            if crops := min(powers["nh"], powers["nw"]):
                powers = powers - Counter(nh=crops, nw=crops) + Counter(C=crops)
            powers += Counter(self.atoms[n] for n in term if n not in sizes)
            named = "_".join(f"{n}{p if p > 1 else ''}" for n, p in powers.items())
            crops_only = named == "C" and "C" not in self._sizes
            self._products[term] = named if crops_only else self._free(named)
        return self._products[term]

    def table(self, entries: tuple[int, ...]) -> str:
        """The name of a table."""
        for name, table in self.tables.items():
            if table == entries:
                return name
        name = f"TABLE_{len(self.tables) + 1}"
        self.tables[name] = entries
        return name


_Terms: TypeAlias = dict[Term, Fraction]


class _Stage:
    """Makes the routine of a stage: what figures hold of others, then steps, then figures."""

    def __init__(
        self, atoms: Sequence[Atom], names: _Names, stage: str, figures: Sequence[Figure]
    ) -> None:
        self._atoms, self._names = atoms, names
        self._made: dict[Term, str] = {}
        self._steps: list[Step] = []
        self._sizes: set[SymbolInfo] = set()
        self._known: dict[str, tuple[_Terms, ...]] = {}
        self._whole = {figure.name for figure in figures if figure.whole}
        self._fractions = {figure.name for figure in figures if self._is_fraction(figure)}
        # Parts first, and what is a sum of others last.
        order = sorted(figures, key=lambda f: (-f.name.count("."), _metric(f.name) in _MADE_OF))
        shortened = {figure.name: self._shortened(figure) for figure in order}
        used = {t for _, rest in shortened.values() for terms in rest for t in terms}
        for term in sorted(used, key=lambda term: (len(term), term)):
            self._product(term)
        made = {figure.name: self._result(figure, *shortened[figure.name]) for figure in order}
        fields = tuple(made[figure.name] for figure in figures)
        for name, count in Counter(result.field for result in fields).items():
            if count > 1 or name in names.all:
                raise InputError(f"two figures or sizes of {stage} would be called {name}")
            _check_name(name)
        self.routine = Routine(
            stage,
            tuple(info for info in CATALOGUE.values() if info in self._sizes),
            tuple(self._steps),
            tuple(made.values()),
            fields,
        )

    def _is_fraction(self, figure: Figure) -> bool:
        numbers = {number for c in figure.candidates for term in c.terms for number in term}
        names = {name for number in numbers for name in self._atoms[number].names}
        return not (figure.whole and all(CATALOGUE[name].integer for name in names))

    def _result(self, figure: Figure, held: tuple[str, ...], rest: tuple[_Terms, ...]) -> Result:
        denominator = math.lcm(*(c.denominator for terms in rest for c in terms.values()))
        sums = tuple(
            self._sum({term: int(c * denominator) for term, c in terms.items()}) for terms in rest
        )
        known = tuple(map(_field, held))
        fraction = figure.name in self._fractions
        name = figure.name
        return Result(name, _field(name), known, sums, denominator, fraction, figure.whole)

    def _shortened(self, figure: Figure) -> tuple[tuple[str, ...], tuple[_Terms, ...]]:
        """The figures that a figure is the sum of, and what is left."""
        candidates = tuple(map(_exactly, figure.candidates))
        self._known[figure.name] = candidates
        path, metric = figure.name.rpartition(".")[::2]
        summands = [f"{path}.{other}" for other in _MADE_OF.get(metric, ())]
        part = re.compile(rf"{re.escape(path)}\.[^.]+\.{metric}")
        below = [name for name in self._known if part.fullmatch(name)]
        known = {name: self._known[name] for name in summands + below if name in self._known}
        if figure.name not in self._fractions:
            known = {name: terms for name, terms in known.items() if name not in self._fractions}
        if figure.whole:
            known = {name: terms for name, terms in known.items() if name in self._whole}
        held: list[str] = []
        for name, terms in known.items():
            raised = _raised(terms, candidates)
            if len(candidates) > 1 and raised is not None:
                held.append(name)
                candidates = (raised,)
        for group in (summands, below):
            single = [n for n in group if n in known and len(known[n]) == 1 and known[n][0]]
            if len(candidates) == 1 and candidates[0] and single:
                rest = candidates[0]
                for name in single:
                    rest = _less(rest, known[name][0])
                if min(rest.values(), default=0) >= 0:
                    held += single
                    candidates = (rest,)
        return tuple(held), candidates if any(candidates) or not held else ()

    def _sum(self, terms: Mapping[Term, int]) -> Sum:
        order = sorted(terms, key=lambda term: (-len(term), term))
        return tuple((terms[term], self._product(term)) for term in order if terms[term])

    def _product(self, term: Term) -> str:
        if term and term not in self._made:
            step = self._atom(term[0]) if len(term) == 1 else self._multiplied(term)
            self._made[term] = step.name
            self._steps.append(step)
        return self._names.product(term)

    def _multiplied(self, term: Term) -> Step:
        for number in dict.fromkeys(term):
            self._product((number,))
        crops = tuple(n for n in dict.fromkeys(term) if self._names.atoms[n] in _CROPS)
        if len(crops) == 2 and crops != term:
            self._product(crops)
        factors: list[str] = []
        left = Counter(term)
        while left:
            part = max((made for made in self._made if Counter(made) <= left), key=self._preferred)
            factors.append(self._made[part])
            left -= Counter(part)
        return Step(self._names.product(term), None, tuple(factors))

    def _preferred(self, made: Term) -> tuple[int, bool]:
        """Long products first, of them those that hold rows and columns of crops together."""
        called = [self._names.atoms[number] for number in made]
        return len(made), called.count("n_h") == called.count("n_w")

    def _atom(self, number: int) -> Step:
        atom, name = self._atoms[number], self._names.atoms[number]
        if atom.size is not None:
            self._sizes.add(atom.size)
            return Step(name, Kind.SIZE, (atom.size.name,), number=atom.size.multiple_of)
        arguments = tuple(self._sum(argument.terms) for argument in atom.arguments)
        table = self._names.table(atom.table) if atom.table else ""
        divisor = atom.arguments[0].denominator if atom.kind is Kind.FLOOR else 1
        return Step(name, atom.kind, arguments=arguments, number=divisor, table=table)


def _metric(name: str) -> str:
    return name.rpartition(".")[2]


def _field(name: str) -> str:
    return name.partition(".")[2].replace(".", "_")


def _exactly(polynomial: Polynomial) -> _Terms:
    return {t: Fraction(c, polynomial.denominator) for t, c in polynomial.terms.items() if c}


def _less(terms: _Terms, other: _Terms) -> _Terms:
    left = {t: terms.get(t, Fraction()) - other.get(t, Fraction()) for t in {**terms, **other}}
    return {term: number for term, number in left.items() if number}


def _raised(known: tuple[_Terms, ...], candidates: tuple[_Terms, ...]) -> _Terms | None:
    """What is added to the largest of some to get the largest of others, if it is that simple."""
    for terms in known:
        rest = _less(candidates[0], terms)
        above = [_less(one, rest) for one in candidates]
        if (
            min(rest.values(), default=0) >= 0
            and all(one in known for one in above)
            and all(one in above for one in known)
        ):
            return rest
    return None
