"""Reads what `tests.nix` evaluated: no assertion fails, no warning is given, each script compiles and names only what is there.

A name that nobody defines, a machine that the test does not have and a unit that no machine has would otherwise be found when
the test is run, which is long after.
"""

import ast
import builtins
import json
import re
import sys

# What the test driver of NixOS puts around a script.
DRIVER = {"start_all", "subtest"}


def names(tree):
    """Names that are read, and names that are bound somewhere in the script."""
    read, bound = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.FunctionDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
    return read, bound


def problems(test):
    evaluated = {}
    for machine, node in test["nodes"].items():
        evaluated[machine] = node
        for name, specialisation in test["specialisations"][machine].items():
            evaluated[f"{machine}, specialisation {name}"] = specialisation
        for name, user in test["users"][machine].items():
            evaluated[f"{machine}, user {name}"] = user
    units = set()
    for where, configuration in evaluated.items():
        units.update(configuration["units"])
        for message in configuration["failedAssertions"]:
            yield f"{where}: failed assertion: {message}"
        for message in configuration["warnings"]:
            yield f"{where}: warning: {message}"

    script = test["testScript"]
    try:
        tree = ast.parse(script)
        compile(script, test["name"], "exec")
    except SyntaxError as error:
        yield f"script, line {error.lineno}: {error.msg}"
        return
    read, bound = names(tree)
    known = bound | DRIVER | set(dir(builtins)) | set(test["nodes"])
    if len(test["nodes"]) == 1:
        known.add("machine")
    for name in sorted(read - known):
        yield f"script: nothing is called '{name}'"
    for machine in sorted(set(test["nodes"]) - read):
        yield f"script: says nothing of the machine '{machine}'"
    for unit in sorted(set(re.findall(r"[\w@-]+\.service", script)) - units):
        yield f"script: no machine has the unit '{unit}'"
    if "assert" not in script and "succeed" not in script:
        yield "script: can never fail"


def main():
    tests = json.load(sys.stdin)
    failed = 0
    for name, test in sorted(tests.items()):
        found = list(problems(test))
        failed += bool(found)
        print(f"FAILED {name}" if found else f"ok {name}")
        for problem in found:
            print(f"    {problem}")
    print(f"vm-tests: {len(tests) - failed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
