"""Keywords that start or connect to what the variables of the run name as target."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from robot.api import SkipExecution
from robot.api.deco import keyword
from robot.api.types import Secret
from robot.libraries.BuiltIn import BuiltIn

from InferenceLibrary.errors import TargetError, describe
from InferenceLibrary.keywords.servers import ServerKeywords
from InferenceLibrary.types import JsonObject, shown_kind

if TYPE_CHECKING:
    from InferenceLibrary.servers.target import Target


class TargetKeywords(ServerKeywords):
    """The server under test, whatever the run names."""

    @keyword(tags=["server"])
    def use_target(self) -> Any:
        """Start or connect to what the suites test, as the variables say. Meant for `Suite Setup`.

        `${TARGET}` is a profile's name (default `simulator`), a profile file, or a URL; a profile without `start` is
        connected to by its `url`. `${PROFILE}` tells what kind of server answers at a URL (a name or a file, `openai`
        by default), `${TARGET_OPTIONS}` gives a start the profile's options as a JSON object; `${MODEL}` is a model's
        name, `${API_KEY}` a key, as text or as a Robot secret, `${DIALECT}` a dialect in place of that of the profile.
        What is not set is read from the environment: `INFERENCE_TARGET`, `INFERENCE_PROFILE`,
        `INFERENCE_TARGET_OPTIONS`, `INFERENCE_API_KEY`, `INFERENCE_DIALECT`; `VLLM_BACKEND_URL`
        with `VLLM_MODEL_NAME`, `INFERENCE_SERVICE_URL` and `LLM_GATEWAY_URL`, each with the profile of that system;
        `TEST_PORT`, `INTEGRATION_TEST_TIMEOUT`, `STREAM_TEST_TIMEOUT`.
        `SKIP_INTEGRATION_TESTS=true` skips. The key is read here and not given as an argument, because Robot logs
        arguments.

        Returns:
            The server, as from [Start Server].

        Raises:
            TargetError: A variable cannot be read.
            ServerError: The target does not start or answer.

        Example:
        ```robotframework
        *** Settings ***
        Suite Setup    Use Target

        *** Test Cases ***
        Model List
            ${models} =    List Models
            Should Not Be Empty    ${models}
        ```
        """
        from InferenceLibrary.servers.profile import load_profile

        self.skip_if_integration_tests_are_off()
        target, secret = self._target()
        url, kind = self._where(target)
        # What is misspelt is told before a server is started for it.
        told = None if target.dialect is None else load_profile(kind, target.dialect)
        if url is not None:
            server = self._connect(url, None, target.model, self._key(secret), JsonObject(), kind, True)
        else:
            server = self.start_server(
                target.name, port=target.port, model=target.model, api_key=secret, **target.options
            )
        server.profile = told or server.profile
        self._limit(server, target)
        self.log.info(f"Target '{target.name}' (from {target.origin}).")
        BuiltIn().set_suite_metadata("Target", f"{target.name} at {server.base_url}, model {server.model}")
        return server

    @keyword(tags=["server", "skip"])
    def skip_unless_target_is_a_simulator(self) -> None:
        """Skip the test when the run names another target than the simulator.

        For tests that start a simulator of their own, or test what is not a server: they say nothing of the target,
        and must not count for it.

        Raises:
            SkipExecution: A URL, or a profile that is not one of the simulator's, is the target.
            TargetError: A variable cannot be read.

        Example:
        ```robotframework
        *** Test Cases ***
        A Cut Stream Is Noticed
            [Tags]    simulator
            Skip Unless Target Is A Simulator
            Start Server    simulator    fault=cut-after-events:events=2
            Stream Chat    Hello    expected_status=failure
        ```
        """
        from InferenceLibrary.servers.profile import load_profile

        self.skip_if_integration_tests_are_off()
        target, _ = self._target()
        _, kind = self._where(target)
        if "fault injection" not in load_profile(kind).offers:
            raise SkipExecution(
                f"The target is {target.name}, and this test says nothing of it: it uses a simulator of its own, or no "
                f"server. Leave out TARGET to run it."
            )

    def _target(self) -> tuple[Target, Secret | None]:
        """Return what the variables of the run name, and the key that goes with it."""
        from InferenceLibrary.servers.target import resolve_target

        builtin = BuiltIn()
        named = builtin.get_variable_value("${TARGET}")
        if named is not None and not isinstance(named, str):
            raise TargetError(
                describe(
                    "TARGET does not name a target",
                    expected="a profile's name, a profile file or a URL",
                    got=shown_kind(named),
                    hint="${target} and ${TARGET} are one variable: give what Use Target returns another name.",
                )
            )
        target = resolve_target(
            named,
            builtin.get_variable_value("${MODEL}"),
            os.environ,
            profile=builtin.get_variable_value("${PROFILE}"),
            options=builtin.get_variable_value("${TARGET_OPTIONS}"),
            dialect=builtin.get_variable_value("${DIALECT}"),
        )
        key = builtin.get_variable_value("${API_KEY}") or os.environ.get("INFERENCE_API_KEY")
        return target, Secret(str(key)) if key and not isinstance(key, Secret) else key or None

    @staticmethod
    def _limit(server: Any, target: Target) -> None:
        """Give a server's calls the limits of the run."""
        limits = server.client.limits
        server.client.limits = limits.replace(total=target.call_timeout or limits.total)
        server.client.stream_limits = limits.replace(total=target.stream_timeout or target.call_timeout or limits.total)

    @staticmethod
    def _where(target: Target) -> tuple[str | None, str]:
        """Return the URL of a target that is connected to, and its profile; no URL where it is started."""
        if target.is_url:
            return target.name, target.profile
        from InferenceLibrary.servers.profile import load_profile

        profile = load_profile(target.name)
        if profile.start is None and profile.url is None:
            raise TargetError(
                describe(
                    f"The target '{target.name}' is not started, but connected to",
                    expected="its URL as TARGET, with this profile as PROFILE, or a line `url:` in the profile",
                )
            )
        return (profile.url if profile.start is None else None), target.name

    @keyword(tags=["skip"])
    def skip_if_integration_tests_are_off(self) -> None:
        """Skip when the environment says `SKIP_INTEGRATION_TESTS=true`.

        [Use Target] does it by itself; this is the `Suite Setup` of suites that need no server.

        Raises:
            TargetError: The variable is neither true nor false.

        Example:
        ```robotframework
        *** Settings ***
        Suite Setup    Skip If Integration Tests Are Off

        *** Test Cases ***
        A Model Made On The Spot
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}
        ```
        """
        from InferenceLibrary.servers.target import SKIP_VARIABLE, is_skipped

        if is_skipped(os.environ):
            raise SkipExecution(f"{SKIP_VARIABLE}=true skips all integration tests. Unset it to run them.")
