# The server, with the weights that come along; see docs/serving.md.
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /carvana && /carvana/bin/pip install --no-cache-dir \
    --disable-pip-version-check --constraint requirements.txt '.[serve]'

FROM python:3.12-slim
COPY --from=build /carvana /carvana
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --start-period=20s CMD ["/carvana/bin/python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready')"]
ENTRYPOINT ["/carvana/bin/python", "-m", "carvana_jax.serve", "--host=0.0.0.0"]
