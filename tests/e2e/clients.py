"""What clients really send, as their public sources have it, and what they read of the answer.

docs/clients.md is the table of it: python -m tests.e2e.clients writes it anew.
"""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
from PIL import Image

from deployments.diffusion.sizes import parse_size
from deployments.errors import InvalidValue
from serve.commands import local
from serve.commands.loopback import free_port
from serve.profiles import load_profile

TABLE = Path(__file__).parents[2] / "docs" / "clients.md"
PROMPT = "a red circle on a yellow background"
GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"
PROFILE = load_profile("embedded")
HEAD = """# Clients that work unchanged

Made by `tests/e2e/test_clients.py`, which sends these requests and reads the answers as each client
does; the table is written anew by `python -m tests.e2e.clients`. *Source* is the release, or the
commit of the repository, that the request was read from.

On the laptop configuration (`signboard serve` with the embedded model) all of them work as they
come. With another model they need the settings of the last column, unless its profile draws the
size or its clients can be told its name. What of a request is taken in another way, each answer
says in `warnings`; the list of names and words is `serve/http/wire/habits.py`.

| Client | Source | Asks for | Reads | On the laptop | Warned of | Needs elsewhere |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request. fields: its JSON body, or the texts of its form where there are files, which
    come under `files_as`. reads: where the client looks for the picture."""

    client: str
    source: str
    reads: Literal["b64_json", "url"]
    fields: dict[str, Any]
    files_as: str | None = None
    file_kind: str = "image/png"

    @property
    def name(self) -> str:
        """For people, and for tests."""
        return f"{self.client}: {'edit, ' if self.files_as else ''}{self.asks}"

    @property
    def asks(self) -> str:
        """Its own words, without the prompt."""
        said = (f"{name} {value}" for name, value in self.fields.items() if name != "prompt")
        return ", ".join(said) or "nothing but a prompt"

    def send(self, client: httpx.Client, photo: bytes) -> httpx.Response:
        """The answer; `photo` is what is edited."""
        fields = {"prompt": PROMPT, **self.fields}
        if self.files_as is None:
            return client.post(GENERATIONS, json=fields)
        texts = {name: str(value) for name, value in fields.items()}
        files = [(self.files_as, ("photo.png", photo, self.file_kind))]
        return client.post(EDITS, data=texts, files=files)

    def needs(self) -> list[str]:
        """The settings without which the request is refused."""
        needed = []
        if self.fields.get("model") not in (None, PROFILE.name):
            needed.append("aliases")
        size = self.fields.get("size", "auto")
        if size != "auto":
            try:
                PROFILE.sizes.check(*parse_size(size))
            except InvalidValue:
                needed.append("nearest_sizes")
        return needed


DALL_E_3 = {"model": "dall-e-3", "n": 1, "size": "1024x1024"}
VIVID = {"quality": "standard", "style": "vivid"}
REQUESTS = [
    Sent("openai (Python)", "3.54.0", "b64_json", {"model": "gpt-image-1"}),
    Sent("openai (Python)", "3.54.0", "b64_json", {"model": "gpt-image-1"}, "image"),
    Sent("Open WebUI", "02530d5", "b64_json",
         {"model": "dall-e-2", "n": 1, "size": "512x512", "response_format": "b64_json"}),
    Sent("Open WebUI", "02530d5", "b64_json",
         {"model": "gpt-image-1", "n": 1, "size": "1024x1024"}),
    Sent("Open WebUI", "02530d5", "b64_json",
         {"model": "gpt-image-1", "n": 1, "size": "1024x1024"}, "image[]"),
    Sent("LibreChat", "00b3bc3", "b64_json",
         {"model": "gpt-image-1", "n": 1, "background": "auto", "output_format": "png",
          "quality": "auto", "size": "auto"}),
    Sent("LibreChat", "00b3bc3", "b64_json",
         {"model": "gpt-image-1", "quality": "auto", "size": "auto"}, "image[]"),
    Sent("LibreChat (DALL-E)", "00b3bc3", "url", {**DALL_E_3, **VIVID}),
    Sent("n8n", "0713e95", "b64_json", {"model": "gpt-image-1-mini"}),
    Sent("n8n", "0713e95", "b64_json",
         {"model": "dall-e-3", "response_format": "b64_json", "quality": "hd",
          "size": "1792x1024", "style": "natural"}),
    Sent("n8n", "0713e95", "url", {"model": "dall-e-3", "response_format": "url"}),
    Sent("Home Assistant", "004090e", "url", {**DALL_E_3, **VIVID, "response_format": "url"}),
    Sent("LangChain (Python)", "0.4.2", "url", {"model": "dall-e-2", "n": 1, "size": "1024x1024"}),
    Sent("LangChain (JS)", "050cfc0", "url", {**DALL_E_3, **VIVID, "response_format": "url"}),
    Sent("LlamaIndex", "tools-openai", "url", {**DALL_E_3, **VIVID, "response_format": "url"}),
    Sent("LlamaIndex", "tools-openai", "b64_json",
         {**DALL_E_3, **VIVID, "response_format": "b64_json"}),
    Sent("LiteLLM", "1.110.2", "url", {"model": "dall-e-3"}),
    Sent("LiteLLM", "1.110.2", "b64_json",
         {"model": "gpt-image-1", "n": 10, "size": "256x256", "quality": "low", "user": "u-1"}),
    Sent("Semantic Kernel (.NET)", "0071eda", "url",
         {"model": "dall-e-2", "n": 1, "size": "512x512", "response_format": "url"}),
    Sent("Semantic Kernel (Python)", "1.45.0", "b64_json",
         {"model": "gpt-image-1", "size": "1024x1536", "quality": "medium", "moderation": "auto",
          "output_format": "png", "background": "opaque"}),
    Sent("Vercel AI SDK", "00b2961", "b64_json",
         {"model": "gpt-image-1", "n": 1, "size": "1536x1024"}),
    Sent("Vercel AI SDK", "00b2961", "b64_json", {**DALL_E_3, "response_format": "b64_json"}),
    Sent("Agno", "3.1.10", "url", {**DALL_E_3, "quality": "standard"}),
    Sent("Agno", "3.1.10", "b64_json", {"model": "gpt-image-2"}),
    Sent("llm-openai-images", "0.3.1", "b64_json",
         {"model": "gpt-image-1.5", "n": 1, "size": "1024x1024", "quality": "medium",
          "moderation": "low"}),
    Sent("llm-openai-images", "0.3.1", "b64_json",
         {"model": "gpt-image-1.5", "n": 1, "size": "1024x1024", "quality": "medium"}, "image"),
    Sent("Haystack", "3.4.1", "b64_json",
         {"model": "gpt-image-2", "size": "1024x1024", "quality": "auto", "n": 1}),
    Sent("vLLM-Omni's benchmark", "0780e45", "b64_json",
         {"model": "default", "n": 1, "size": "1024x1024", "response_format": "b64_json",
          "seed": 42, "num_inference_steps": 4}),
    Sent("vLLM-Omni's benchmark", "0780e45", "b64_json",
         {"model": "default", "size": "1024x1024", "response_format": "b64_json",
          "num_inference_steps": 4, "bot_task": "think"}, "image"),
    Sent("SGLang's benchmark", "00b368b", "b64_json",
         {"model": "default", "n": 1, "response_format": "b64_json", "size": "512x512"}),
    Sent("SGLang's benchmark", "00b368b", "b64_json",
         {"model": "default", "response_format": "b64_json"}, "image",
         file_kind="application/octet-stream"),
]  # fmt: skip


def read(sent: Sent, answer: httpx.Response, client: httpx.Client) -> list[Image.Image]:
    """The pictures as the client comes by them: from the field that it looks at, alone."""
    files = [one[sent.reads] for one in answer.raise_for_status().json()["data"]]
    if sent.reads == "b64_json":
        files = [base64.b64decode(file) for file in files]
    else:
        files = [client.get(url).raise_for_status().content for url in files]
    return [Image.open(io.BytesIO(file)) for file in files]


def table(answers: Iterable[tuple[Sent, httpx.Response]]) -> str:
    """docs/clients.md of the answers on the laptop configuration."""
    rows = []
    for sent, answer in answers:
        worked = "unchanged" if answer.status_code == 200 else f"refused: {answer.status_code}"
        warned = [one.partition(":")[0] for one in answer.json().get("warnings", [])]
        route = "an edit: " if sent.files_as else ""
        asks = route + ", ".join(f"`{name}`" for name in sent.asks.split(", "))
        cells = (
            sent.client,
            sent.source,
            asks,
            f"`{sent.reads}`",
            worked,
            ", ".join(f"`{name}`" for name in dict.fromkeys(warned)),
            ", ".join(f"`{name}`" for name in sent.needs()),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return HEAD + "\n".join(rows) + "\n"


def photograph() -> bytes:
    """A PNG of 256x256 to be edited."""
    out = io.BytesIO()
    Image.new("RGB", (256, 256), (250, 215, 50)).save(out, "PNG")
    return out.getvalue()


def write_table() -> None:
    """Ask a fresh application, and write what became of each request."""
    with (
        local.application("embedded", free_port()) as running,
        httpx.Client(base_url=running.url, timeout=120) as client,
    ):
        answers = [(sent, sent.send(client, photograph())) for sent in REQUESTS]
    TABLE.write_text(table(answers), encoding="utf-8")


if __name__ == "__main__":
    write_table()
