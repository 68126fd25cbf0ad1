"""Keywords that judge how programs load model files, or refuse them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot.api import SkipExecution
from robot.api.deco import keyword
from robot.libraries.BuiltIn import BuiltIn

from InferenceLibrary.errors import CheckFailure, ModelError, ProfileError, ServerError, describe
from InferenceLibrary.keywords.models import Format, path_of
from InferenceLibrary.keywords.shared.arguments import plain, plain_mapping, revealed
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.programs.result import RunResult
from InferenceLibrary.types import JsonObject, ProfileName, Texts

if TYPE_CHECKING:
    from InferenceLibrary.servers.loading import Loader

_LOADING = {"simulator": "simulator-mistralrs"}
"""Targets that load no models, and what stands in for them."""
_NONE = Texts()
_NO_OPTIONS = JsonObject()


class ModelLoadingKeywords(KeywordGroup):
    """Programs that load models, or refuse them."""

    @keyword(tags=["model"])
    def use_model_program(
        self,
        *,
        profile: ProfileName | str | None = None,
        command: Texts = _NONE,
        options: JsonObject = _NO_OPTIONS,
    ) -> str:
        """Say which program the model keywords test, until the test or suite ends.

        Without a profile and a command it is what the variables of the run name as target, as for [Use Target]: for the
        simulator, which reads no model files by itself, `simulator-mistralrs`, which does. For a URL, and for a program
        that takes no model, the test is skipped.

        Args:
            profile: A profile that takes a model: one with a start option `model_file`, or `model_folder` and
                `model_filename`; `dry_run` where it can load a model and end.
            command: In place of a profile: the words of a command that loads the model and ends, with the placeholder
                `{model_file}`, `{model_folder}` or `{model_filename}`.
            options: Further start options of the profile, as a JSON object.

        Returns:
            The program's name.

        Raises:
            ProfileError: The profile takes no model, or there is none of that name.
            ProgramError: The command has no placeholder.

        ```robotframework
        *** Test Cases ***
        The Simulator Loads It
            Use Model Program    profile=simulator-mistralrs
            ${model} =    Create Tiny Model
            Model Should Load    ${model}
        ```
        """
        loader = (
            self._loader_of_target()
            if profile is None and not command
            else self._model_loader(profile, command, options)
        )
        self.context.loaders.add(loader)
        self.log.info(f"The program that loads models is {loader.name}.")
        return loader.name

    @keyword(tags=["model", "assertion"])
    def model_should_load(
        self,
        model: Any,
        *,
        profile: ProfileName | str | None = None,
        command: Texts = _NONE,
        options: JsonObject = _NO_OPTIONS,
        matching: str | None = None,
        timeout: timedelta = timedelta(seconds=60),
    ) -> Any:
        """Check that a program loads a model, and return how long it took and how much memory.

        A program that has a dry run (a start option `dry_run` of its profile) is run to its end. Any other is started
        as a server, must generate a first token, and is stopped.

        Args:
            model: A path, or what [Create Tiny Model] returned.
            profile: A profile that takes a model, as for [Use Model Program], which says what is taken by default.
            command: In place of a profile: a command, as for [Use Model Program].
            options: Further start options of the profile, as a JSON object.
            matching: A regular expression that the output of a dry run must match.
            timeout: How long all of it may take.

        Returns:
            An object with `how` (`dry run` or the last stage of readiness), `elapsed` (seconds), `memory` (bytes: the
            peak of a dry run, else what is held when ready; none when unknown), `stages` and `size`.

        Raises:
            CheckFailure: It was not loaded; with the program's words.
            ProfileError: The profile takes no model, or an option is wrong.
            ProgramError: The program cannot be run.

        ```robotframework
        *** Test Cases ***
        A Whole Model Is Loaded
            ${model} =    Create Tiny Model
            ${load} =    Model Should Load    ${model}    profile=simulator-mistralrs    matching=Model loaded
            Should Be True    ${load.elapsed} > 0
        ```
        """
        from InferenceLibrary.servers import loading

        path = path_of(model)
        loader = self._model_loader(profile, command, options)
        if loader.ends_by_itself:
            load = loading.check_dry_run(loader, path, self._run_to_end(loader, timeout), matching)
        else:
            load = self._load_in_server(loader, path, timeout)
        self.log.info(f"Loaded by {loader.name}: {load}")
        return load

    @keyword(tags=["model", "assertion"])
    def model_should_be_refused(
        self,
        model: Any,
        *,
        profile: ProfileName | str | None = None,
        command: Texts = _NONE,
        options: JsonObject = _NO_OPTIONS,
        exit_code: int | None = None,
        matching: str | None = None,
        timeout: timedelta = timedelta(seconds=10),
    ) -> RunResult:
        """Check that a program refuses a model in a way that helps, and return how it did.

        It must end by itself within the time limit, with an exit code that is not 0, not by a signal and not by a
        crash that is printed (a Rust panic, a Python traceback); name the file; and leave no process behind.

        Args:
            model: A path, which need not exist, or what [Create Broken Model] returned.
            profile: A profile that takes a model, as for [Use Model Program], which says what is taken by default.
            command: In place of a profile: a command, as for [Use Model Program].
            options: Further start options of the profile, as a JSON object.
            exit_code: The exit code that is right; any but 0 by default.
            matching: A regular expression that the message must match; by default the file's name must stand in it.
            timeout: How long the program may take.

        Raises:
            CheckFailure: One of this does not hold; with the program's words.
            ProfileError: The profile takes no model, or an option is wrong.
            ProgramError: The program cannot be run.

        ```robotframework
        *** Test Cases ***
        A Broken Model Is Refused
            ${model} =    Create Broken Model    kind=truncated
            Model Should Be Refused    ${model}    profile=simulator-mistralrs    exit_code=1    matching=cut off
        ```
        """
        from InferenceLibrary.servers.loading import check_refusal_of_model

        path = path_of(model)
        loader = self._model_loader(profile, command, options)
        codes = () if exit_code is None else (exit_code,)
        result = check_refusal_of_model(
            loader, path, self._run_to_end(loader, timeout), exit_codes=codes, matching=matching
        )
        self.log.info(f"{path.name} was refused by {loader.name} with {result.ending} after {result.elapsed:.3f} s.")
        return result

    @keyword(tags=["model", "assertion"])
    def model_should_exist(self, path: Path | None = None) -> str:
        """Check that a model is there and whole, and return its path. [Skip Unless Model Exists] skips instead.

        Args:
            path: The file or folder. A relative path is looked up below the folder that the environment variable
                `TEST_MODEL_PATH` names, then in the working directory. By default it is the file that
                `TEST_MODEL_FILE` names.

        Returns:
            The absolute path.

        Raises:
            CheckFailure: No model is named; it is not there.
            ModelError: The file is there, but broken.

        ```robotframework
        *** Test Cases ***
        A Model That Was Made
            ${model} =    Create Tiny Model
            ${path} =    Model Should Exist    ${model.path}
            Get Model Info    ${path}    layers    >    0
        ```
        """
        try:
            return self._model_here(path)
        except SkipExecution as missing:
            raise CheckFailure(str(missing).replace("To run this test", "Hint: to run this test")) from None

    @keyword(tags=["model", "skip"])
    def skip_unless_model_exists(self, path: Path | None = None) -> str:
        """Skip the test when a model that the machine must bring along is not there; return its path.

        A file that is there and is not a whole model is a failure, not a skip.

        Args:
            path: The file or folder, as for [Model Should Exist].

        Returns:
            The absolute path.

        Raises:
            ModelError: The file is there, but broken.

        ```robotframework
        *** Test Cases ***
        The Model Of This Machine
            ${path} =    Skip Unless Model Exists
            Get Model Info    ${path}    layers    >    0
        ```
        """
        return self._model_here(path)

    @keyword(tags=["model", "skip"])
    def skip_unless_model_format_is_supported(
        self,
        format: Format,  # noqa: A002 - the word of the field
        *,
        profile: ProfileName | str | None = None,
    ) -> None:
        """Skip the test when the program takes no models of a format, with its profile's reason.

        Args:
            format: `gguf`, `safetensors` or `ggml`.
            profile: A profile, as for [Use Model Program], which says what is taken by default. What its program does
                not take stands there under `lacks`, such as `ggml models`.

        ```robotframework
        *** Test Cases ***
        Old Models
            Skip Unless Model Format Is Supported    ggml    profile=llama.cpp
            ${model} =    Create Tiny Model    format=ggml
            Model Should Load    ${model}    profile=llama.cpp
        ```
        """
        loader = self._model_loader(profile, _NONE, _NO_OPTIONS)
        reason = loader.profile.lacks.get(f"{format} models") if loader.profile is not None else None
        if reason is not None:
            raise SkipExecution(f"{loader.name} lacks '{format} models': {reason}.")

    @keyword(tags=["model"])
    def log_model_load_chart(self, *loads: Any, title: str = "Model loading") -> str:
        """Draw the time and the memory of several loads into the log, and return the path of the picture.

        Args:
            loads: What [Model Should Load] returned, one or more.
            title: The picture's title.

        Raises:
            ModelError: There is nothing to draw.

        ```robotframework
        *** Test Cases ***
        Two Models In One Picture
            ${gguf} =    Create Tiny Model
            ${first} =    Model Should Load    ${gguf}    profile=simulator-mistralrs
            ${ggml} =    Create Tiny Model    format=ggml
            ${second} =    Model Should Load    ${ggml}    profile=simulator-mistralrs
            Log Model Load Chart    ${first}    ${second}
        ```
        """
        from InferenceLibrary.servers.loading import ModelLoad
        from InferenceLibrary.servers.loading_chart import load_chart

        for load in loads:
            if not isinstance(load, ModelLoad):
                raise ModelError(
                    describe("A load cannot be drawn", expected="what Model Should Load returned", got=repr(load))
                )
        if not loads:
            raise ModelError(describe("There is nothing to draw", expected="one load or more", got="none"))
        path = self.context.artifact("charts", title, "svg")
        path.write_text(load_chart(title, loads), encoding="utf-8")
        self.log.picture(title, path)
        return str(path)

    def _model_here(self, path: Path | None) -> str:
        """Return the absolute path of a model that is there and whole.

        Raises:
            SkipExecution: None is named, or it is not there.
            ModelError: It is broken.
        """
        from InferenceLibrary.modelfiles.info import model_info

        folder, file = os.environ.get("TEST_MODEL_PATH", ""), os.environ.get("TEST_MODEL_FILE", "")
        wanted = path if path is not None else Path(file) if file else None
        if wanted is None:
            raise SkipExecution(
                "No model is named. To run this test, set TEST_MODEL_FILE to a model file (and TEST_MODEL_PATH to its "
                "folder), or give the keyword a path."
            )
        places = [Path(folder).expanduser() / wanted] if folder and not wanted.is_absolute() else []
        places.append(wanted.expanduser())
        found = next((place for place in places if place.exists()), None)
        if found is None:
            raise SkipExecution(
                f"Model '{wanted}' is not there: looked at {' and '.join(str(place.absolute()) for place in places)}. "
                "To run this test, set TEST_MODEL_PATH to its folder and TEST_MODEL_FILE to its name."
            )
        self.log.info(f"{found.absolute()}: {model_info(found)}")
        return str(found.absolute())

    def _model_loader(self, profile: str | None, command: Texts, options: JsonObject) -> Loader:
        from InferenceLibrary.servers.loading import Loader
        from InferenceLibrary.servers.profile import load_profile

        if profile is not None and command:
            raise ModelError(describe("The program is not clear", expected="profile= or command=", got="both"))
        if profile is not None:
            return Loader(load_profile(profile), (), plain_mapping(self.context, options))
        if command:
            return Loader(None, [plain(self.context, word) for word in command])
        found = self.context.loaders.get()
        return found if not options else Loader(found.profile, found.command, plain_mapping(self.context, options))

    def _loader_of_target(self) -> Loader:
        """Return the program that the variables of the run name, or skip."""
        from InferenceLibrary.servers.loading import Loader
        from InferenceLibrary.servers.profile import load_profile
        from InferenceLibrary.servers.target import SKIP_VARIABLE, is_skipped, resolve_target

        if is_skipped(os.environ):
            raise SkipExecution(f"{SKIP_VARIABLE}=true skips all integration tests. Unset it to run them.")
        builtin = BuiltIn()
        target = resolve_target(
            builtin.get_variable_value("${TARGET}"),
            builtin.get_variable_value("${MODEL}"),
            os.environ,
            profile=builtin.get_variable_value("${PROFILE}"),
            options=builtin.get_variable_value("${TARGET_OPTIONS}"),
        )
        if target.is_url:
            raise SkipExecution(
                f"'{target.name}' (from {target.origin}) is a URL, so the program that loads models is not known. "
                "Set TARGET to a profile."
            )
        try:
            stand_in = _LOADING.get(target.name)
            if stand_in is not None:
                return Loader(load_profile(stand_in))
            return Loader(load_profile(target.name), (), revealed(self.context, target.options))
        except ProfileError as error:
            if "cannot be given a model" not in str(error):
                raise
            raise SkipExecution(str(error)) from None

    def _run_to_end(self, loader: Loader, timeout: timedelta) -> Any:
        from InferenceLibrary.programs.run import run_program

        def run(command: Sequence[str]) -> RunResult:
            result = run_program(
                command, timeout=timeout.total_seconds(), env=dict(loader.environment), redactor=self.context.redactor
            )
            self.log.info(str(result))
            for name in ("stdout", "stderr"):
                if result.stream(name).strip():
                    self.log.text(name, result.stream(name))
            return result

        return run

    def _load_in_server(self, loader: Loader, model: Path, timeout: timedelta) -> Any:
        from InferenceLibrary.servers import loading
        from InferenceLibrary.servers.starting import StartSettings, start

        assert loader.profile is not None
        name = loader.profile.name
        settings = StartSettings(
            options=loader.options(model, dry_run=False),
            limits=self.context.limits,
            timeout=timeout.total_seconds(),
            wait_for="first token" if loader.profile.ready.first_token == "none" else None,
        )
        try:
            server = start(
                loader.profile,
                settings,
                name=name,
                new_log=lambda: self.context.artifact("servers", f"{name} {model.name}", "log"),
                redact=self.context.redactor,
                report=self.log.info,
            )
        except ServerError as error:
            raise loading.refused_load(loader, model, error) from None
        try:
            memory = loading.resident_memory(server.pid)
        finally:
            server.close()
        return loading.loaded_by_server(model, server.stages, memory)
