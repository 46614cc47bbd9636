# Builds the wheel, then installs it alone: the image holds no source and runs as nobody.
FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --constraint constraints.txt --wheel-dir /wheels .

FROM python:3.12-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels fankui && rm -rf /wheels \
    && useradd --system --no-create-home fankui
USER fankui
WORKDIR /tmp
ENV PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["fankui", "serve", "--host", "0.0.0.0", "--port", "8000"]
