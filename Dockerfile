# The simulator as an image. Its flags follow the image's name: docker run -p 127.0.0.1:8000:8000 IMAGE --model fake-model
ARG BASE=python:3.13-slim
FROM ${BASE}

RUN python3 -m pip install --no-cache-dir --quiet "httptools>=0.6.4" "msgspec>=0.21" "PyYAML>=6.0.2" "regex>=2024.4.16" "uvloop>=0.21"
COPY InferenceLibrary /opt/inference-simulator/InferenceLibrary
ENV PYTHONPATH=/opt/inference-simulator PYTHONUNBUFFERED=1
# Compiled modules halve the time to the first answer; --version proves that all parts are there.
RUN python3 -m compileall -q /opt/inference-simulator && python3 -m InferenceLibrary.simulator --version

USER 65532:65532
EXPOSE 8000
# Inside a container, loopback could be reached by nobody; what may reach it is for the published port to say.
ENTRYPOINT ["python3", "-m", "InferenceLibrary.simulator", "--host", "0.0.0.0"]
