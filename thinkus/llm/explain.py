"""One line for each way in which an answer failed to come: what it means, and what to do."""

from thinkus.llm.exchange import Kind

# {where}: the endpoint's key in the config; {model}: the model that was asked for.
LINES = {
    Kind.KEY_MISSING: "no key is set; {where}.api_key_env= names the environment variable that should hold it",
    Kind.KEY_REFUSED: "the key was refused; check the variable that {where}.api_key_env= names, and what it may do",
    Kind.UNPAID: "the account has no credit left; top it up, the same command goes on",
    Kind.UNKNOWN_MODEL: "the server knows no model {model}; check {where}.model= and {where}.api_base=",
    Kind.NO_SERVER: "no server answers there; start it, or check {where}.api_base=; the same command goes on",
    Kind.RATE_LIMITED: "refused for its rate limit again and again; lower concurrency= (--redo where it is done)",
    Kind.SERVER_ERROR: "the server failed again and again; the same command asks again (--redo where it is done)",
    Kind.TIMEOUT: "no answer came in time; raise {where}.deadline_s= (--redo where it is done)",
    Kind.DROPPED: "the connection broke off again and again; the same command asks again (--redo where it is done)",
    Kind.UNREADABLE: "what came is not what the protocol promises; is {where}.api_base= the right address?",
    Kind.TOO_LONG: "longer than the model's context; use a model with a longer one, or shorter conversations",
    Kind.REFUSED: "the server does not take such requests; perhaps {where}.structured= or .extra= is beyond it",
    Kind.NOT_RECORDED: "no answer was recorded for it; recorded answers exist for data=sample alone",
    Kind.EMPTY: "the answer was empty; a model that thinks may spend all of max_tokens on that ({where}.extra=)",
    Kind.CUT: "the answer was cut at max_tokens; raise {where}.sampling.max_tokens=",
    Kind.FILTERED: "the provider's moderation kept the answer back",
    Kind.OFF_FORM: "the answer has another form than was asked for; the server may ignore schemas: try another "
    "{where}.structured=, or another model",
}


def explained(kind: Kind, where: str, model: str, detail: str) -> str:
    """The line that ends a run: where it was, what it means and how to mend it, in the server's own words too."""
    meaning, _, fix = LINES[kind].format(where=where, model=model).partition("; ")
    words = f" ({detail})" if detail else ""
    return f"{where}: {meaning}{words}{'; ' + fix if fix else ''}"


def counted(kind: Kind, count: int, where: str, model: str, detail: str) -> str:
    """The line for all the failures of a kind."""
    meaning, _, fix = LINES[kind].format(where=where, model=model).partition("; ")
    words = f", the first: {detail}" if detail else ""
    return f"{count:,} {kind.replace('_', ' ')}: {meaning}{words}{'; ' + fix if fix else ''}"
