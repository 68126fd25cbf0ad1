*** Settings ***
Documentation    Acceptance tests of an inference server: by default of the embedded simulator, by `TARGET` of another.

# By these tags docs/coverage.md finds its tests; they would fill the statistics of the log.
Suite Setup      Remove Tags    covers:*
