*** Settings ***
Documentation    Acceptance tests of an inference server: by default of the embedded simulator, by `TARGET` of another.

Suite Setup      Prepare The Run


*** Keywords ***
Prepare The Run
    [Documentation]    Drops the tags by which docs/coverage.md finds its tests: they would fill the statistics.
    ...    Where the environment has TEST_VERBOSE, the log tells all that can be told.
    Remove Tags    covers:*
    IF    "%{TEST_VERBOSE=}" not in ["", "0", "false"]    Set Log Level    DEBUG
