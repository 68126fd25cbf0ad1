"""Print the catalogue of faults."""

from __future__ import annotations

from InferenceLibrary.simulator.faults.spec import WHEN, all_kinds


def print_catalogue(as_json: bool = False) -> int:
    """Print every fault: name, what it does, the rules of the wire that it breaks, its parameters."""
    kinds = all_kinds()
    if as_json:
        import json

        print(
            json.dumps(
                [
                    {
                        "name": kind.name,
                        "text": kind.text,
                        "breaks": list(kind.breaks),
                        "parameters": {key: item.default for key, item in kind.parameters.items()},
                    }
                    for kind in kinds.values()
                ],
                indent=2,
            )
        )
        return 0
    width = max(map(len, kinds))
    for kind in kinds.values():
        rules = f"  [{', '.join(kind.breaks)}]" if kind.breaks else ""
        print(f"{kind.name:<{width}}  {kind.text}{rules}")
        for key, item in kind.parameters.items():
            print(f"{'':<{width}}    {key}={item.default}  {item.text}")
    broken = {rule for kind in kinds.values() for rule in kind.breaks}
    print()
    print(f"{len(kinds)} faults; {len(broken)} rules of the wire are broken by at least one.")
    print()
    print("Every fault also takes:")
    for key, item in WHEN.items():
        print(f"  {key}  {item.text}")
    print()
    print("For example: inference-simulator --fault stall:seconds=2,first=1")
    print("[F10] and the like are the ids of the wire rules that a fault breaks; checks name them in failures.")
    return 0
