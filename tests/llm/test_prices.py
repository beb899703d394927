"""What an answer costs, and the most that it can."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.llm.parts import completion, endpoint, request
from thinkus.endpoint import Price
from thinkus.errors import ThinkusError
from thinkus.llm import prices
from thinkus.llm.prices import Peak, Rates, rates_of

DEEPSEEK = "https://api.deepseek.com/v1"


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_the_price_is_that_of_the_model_where_it_is_served() -> None:
    rates = rates_of(endpoint(DEEPSEEK, model="deepseek-flash"))
    assert rates is not None
    assert (rates.input, rates.cached_input, rates.output) == (0.15, 0.003, 0.60)
    assert "2026-11-15" in rates.read_on
    litellm = endpoint(None, backend="litellm", model="deepseek/deepseek-flash")
    assert rates_of(litellm) == rates


@pytest.mark.parametrize(
    ("url", "model"),
    [
        (DEEPSEEK, "deepseek-chat"),
        (DEEPSEEK, None),
        ("https://elsewhere.example/v1", "deepseek-flash"),
        ("http://localhost:8000/v1", "deepseek-flash"),
        (None, "deepseek-flash"),
    ],
)
def test_any_other_price_is_not_known(url: str | None, model: str | None) -> None:
    assert rates_of(endpoint(url, model=model)) is None


def test_ones_own_price_goes_before_the_files() -> None:
    rates = rates_of(endpoint(DEEPSEEK, model="deepseek-flash", price=Price(input=1.0, output=2.0)))
    assert rates is not None
    assert (rates.input, rates.cached_input, rates.output, rates.peak) == (1.0, 1.0, 2.0, None)


def test_the_cost_by_its_parts() -> None:
    rates = Rates(input=2.0, output=10.0, cached_input=0.5, max_tokens=100)
    came = completion("x", input_tokens=1_000_000, cached_tokens=400_000, output_tokens=200_000)
    assert rates.usd(came, 0.0, 0.0) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.2 * 10)
    assert rates.usd(completion("x", output_tokens=None), 0.0, 0.0) is None
    assert rates.usd(completion("x", input_tokens=None), 0.0, 0.0) is None


@pytest.mark.parametrize(
    ("began", "ended", "times"),
    [
        ("2026-11-20T00:10:00", "2026-11-20T00:20:00", 1.0),
        ("2026-11-20T00:59:59", "2026-11-20T01:00:01", 2.0),
        ("2026-11-20T03:59:59", "2026-11-20T04:30:00", 2.0),
        ("2026-11-20T04:00:00", "2026-11-20T05:59:00", 1.0),
        ("2026-11-20T09:59:00", "2026-11-20T09:59:30", 2.0),
        ("2026-11-21T07:00:00", "2026-11-21T07:00:01", 1.0),  # a Saturday
    ],
)
def test_at_peak_hours_it_is_dearer_and_the_dearer_end_counts(began: str, ended: str, times: float) -> None:
    rates = Rates(1.0, 1.0, 1.0, 100, Peak(2.0, ((1, 4), (6, 10)), weekdays_only=True))
    came = completion("x", input_tokens=1_000_000, output_tokens=0)
    assert rates.usd(came, moment(began), moment(ended)) == times


def test_no_answer_costs_more_than_was_set_aside() -> None:
    """A token is at least a byte: even text of which each byte is one stays below."""
    rates = Rates(3.0, 7.0, 1.0, 50, Peak(2.0, ((0, 24),), weekdays_only=False))
    text = "\U0001f642" * 300
    came = completion("x", input_tokens=len(text.encode()) + 100, output_tokens=50)
    usd = rates.usd(came, moment("2026-11-20T12:00:00"), moment("2026-11-20T12:00:00"))
    assert usd is not None
    assert usd <= rates.most_usd(request(text)) < 2 * usd


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("- {model: m, input: 1, output: 2}\n", "missing required field `provider`"),
        ("- {model: m, provider: p, host: h, as_of: d, source: s, input: cheap}\n", "Expected `float`"),
        ("- {model: [m\n", "expected"),
    ],
)
def test_a_price_that_cannot_be_read_is_one_line(
    written: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prices.yaml").write_text(written)
    monkeypatch.setattr(prices, "CONF", tmp_path)
    prices._entries.cache_clear()
    try:
        with pytest.raises(ThinkusError) as error:
            rates_of(endpoint("http://h/v1"))
    finally:
        prices._entries.cache_clear()
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{tmp_path / 'prices.yaml'}: ")
    assert said in line


def test_every_price_of_the_file_says_when_and_where_it_was_read() -> None:
    from thinkus.llm.prices import _entries

    for entry in _entries():
        assert datetime.fromisoformat(entry.as_of)
        assert entry.source.startswith("https://")
        assert entry.cached_input <= entry.input <= entry.output
    assert (Path(__file__).parents[2] / "conf" / "prices.yaml").is_file()
