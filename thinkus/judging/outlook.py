"""What judging would take, before anything is asked: in verdicts, tokens and money."""

from thinkus.judging.repeating import Repeats
from thinkus.judging.task import Task
from thinkus.llm.estimate import BYTES_A_TOKEN, most_cost, short


def outlook(task: Task, repeats: Repeats) -> list[str]:
    units = requests = size = 0
    for unit in task.units():
        units += 1
        takes = repeats.takes(task, unit)
        for request in task.requests(unit):
            requests += takes
            size += takes * sum(len(message.content.encode()) for message in request.messages)
    if task.endpoint is None:
        return [f"measures {units:,} conversations, and asks nobody"]
    tokens, endpoint = size / BYTES_A_TOKEN, task.endpoint
    return [
        f"asks {endpoint.name} ({endpoint.model or 'no model'}) {requests:,} times about {units:,} items",
        f"about {short(tokens)} tokens in (estimated from the length), at most "
        f"{short(requests * endpoint.sampling.max_tokens)} out",
        most_cost(endpoint, task.where, tokens, requests),
    ]
