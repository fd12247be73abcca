"""Local language models: a folder of safetensors, a hub id, a GGUF file, or the embedded default; torch is imported at the first job only.

A job is one left-padded batch of fixed rows, sorted by length inside. Decoding settings come from the job alone: what the folder's own
generation_config says of temperature, top-p or penalties does not leak in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.errors import ModelError, missing_extra
from genscope.core.reply import GenerateJob, Message, OnReplies, OnScores, Reply, Request, Sampling, ScoreJob, TokenLogprobs
from genscope.core.text import REPLY_CHARACTERS, clean, shorten
from genscope.models import gguf, weights
from genscope.models.model import Ability, Description, Model
from genscope.models.thinking import split_thinking
from genscope.models.turns import merged_system, with_system

if TYPE_CHECKING:
    import torch

# B rows, T tokens

LM_VERSION = 1
"""Raised when the way of rendering, decoding or scoring changes."""
BLOCK = 16
DTYPES = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What may follow the name of a local model."""

    adapter: Path | None = None
    revision: str | None = None
    dtype: str | None = None
    device: str | None = None
    system: str | None = None
    """Replaces the request's system message; "none" drops it."""
    template: str | None = None
    """"none": plain text to continue, even where the tokenizer has a chat template."""

    def __post_init__(self) -> None:
        if self.dtype is not None and self.dtype not in DTYPES:
            raise ModelError(f"dtype must be one of {', '.join(DTYPES)}; got {self.dtype!r}")
        if self.template not in (None, "none"):
            raise ModelError(f"template: only 'none' is known (no chat template); got {self.template!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where weights come from: how to find the folder (may download or convert), what identifies them, and how they are described."""

    folder: Callable[[], Path]
    identity: Callable[[], dict[str, Any]]
    sentence: str
    facts: dict[str, str] = field(default_factory=dict)


class LocalLM(Model):
    """A causal language model of transformers. Weights are loaded at the first job and freed by `close`."""

    block = BLOCK
    spends = False

    def __init__(self, name: str, origin: Origin, options: Options | None = None) -> None:
        self.name, self.origin, self.options = name, origin, options or Options()
        self._folder: Path | None = None
        self._loaded: tuple[Any, Any] | None = None

    @property
    def folder(self) -> Path:
        """The model's folder; found, downloaded or converted at the first use."""
        if self._folder is None:
            self._folder = self.origin.folder()
            weights.check_folder(self._folder)
        return self._folder

    @property
    def base(self) -> Path:
        """The folder of the base weights: another one where the model's folder is an adapter."""
        named = weights.read_json(self.folder / "adapter_config.json").get("base_model_name_or_path")
        if not named:
            return self.folder
        base = Path(str(named))
        beside = base if base.is_dir() else self.folder.parent / base
        return beside if beside.is_dir() else hub_folder(str(named), None)

    @property
    def adapter(self) -> Path | None:
        """The adapter's folder: the option's, or the model's own when it is an adapter."""
        if self.options.adapter is not None:
            return self.options.adapter
        return self.folder if (self.folder / "adapter_config.json").is_file() else None

    @property
    def abilities(self) -> frozenset[Ability]:  # pyright: ignore[reportIncompatibleVariableOverride]
        chat = self.options.template != "none" and (weights.has_chat_template(self.folder) or weights.has_chat_template(self.base))
        compact = self.trained_on.get("style") == "compact"
        return frozenset(
            {"generate", "sample", "score", "prefill", "inside", *(("chat",) if chat else ()), *(("compact",) if compact else ())}
        )

    @property
    def trained_on(self) -> Mapping[str, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return weights.read_json(self.folder / weights.STYLE_FILE)

    def identity(self) -> dict[str, Any]:
        adapter = self.adapter
        return {
            "kind": "lm", "version": LM_VERSION, "weights": self.origin.identity() if adapter is None else weights.folder_identity(self.base),
            "adapter": None if adapter is None else weights.folder_identity(adapter), "dtype": self._dtype_name(), "device": (self.options.device or "auto").split(":")[0],
            "system": self.options.system, "template": self.options.template, "with": weights.installed(("torch", "transformers", "tokenizers", "peft")),
        }  # fmt: skip

    def describe(self) -> Description:
        facts = {**self.origin.facts, "dtype": self._dtype_name()}
        for name in ("system", "template", "revision"):
            if getattr(self.options, name) is not None:
                facts[name] = getattr(self.options, name)
        if self.adapter is not None:
            facts["adapter"] = self.adapter.name
        return Description(name=self.name, sentence=self.origin.sentence, parameters=weights.parameter_count(self.base), facts=facts)

    def _dtype_name(self) -> str:
        if self.options.dtype:
            return DTYPES[self.options.dtype]
        config = weights.read_json(self.base / "config.json")
        said = str(config.get("dtype") or config.get("torch_dtype") or "float32")
        return "bfloat16" if said in ("bfloat16", "float16") else "float32"

    # --- running

    def generate(self, jobs: Sequence[GenerateJob], done: OnReplies, stop: Callable[[], bool]) -> None:
        for place, job in enumerate(jobs):
            if stop():
                return
            done(place, self._generate_block(job.requests, job.sampling))

    def score(self, jobs: Sequence[ScoreJob], done: OnScores, stop: Callable[[], bool]) -> None:
        for place, job in enumerate(jobs):
            if stop():
                return
            done(place, self._score_one(job))

    def inside(self, dtype: str = "float32") -> tuple[Any, Any]:
        """The module with weights in `dtype`; the parameters of an adapter, where there is one, are those that take gradients."""
        model, tokenizer = self._load()
        import torch

        model = model.to(getattr(torch, dtype))
        self._loaded = None  # another dtype than replies are made in: load anew for those
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(self.adapter is None or "lora_" in name)
        return model, tokenizer

    def answer_tokens(self, request: Request, answer: str) -> tuple[list[int], list[int]]:
        """As a reply would follow the prompt, without special tokens in the answer."""
        _, tokenizer = self._load()
        special = set(tokenizer.all_special_ids)
        return self._tokens(self._rendered(request)), [
            t for t in tokenizer(answer, add_special_tokens=False)["input_ids"] if t not in special
        ]

    def close(self) -> None:
        self._loaded = None

    def _load(self) -> tuple[Any, Any]:
        """(model in eval mode, tokenizer)."""
        if self._loaded is None:
            try:
                import torch
                from transformers import AutoModelForCausalLM, AutoTokenizer
            except ImportError as error:
                raise missing_extra(f"{self.name} runs on torch and transformers", "hf") from error
            from genscope.models import log_n_attention
            from genscope.models.quiet import quietly

            device = self.options.device or ("cuda" if torch.cuda.is_available() else "cpu")
            with quietly():
                try:
                    own = (self.folder / "tokenizer_config.json").is_file()
                    tokenizer = AutoTokenizer.from_pretrained(self.folder if own else self.base, trust_remote_code=False)
                    model: Any = AutoModelForCausalLM.from_pretrained(
                        self.base, dtype=getattr(torch, self._dtype_name()), trust_remote_code=False, use_safetensors=True
                    )
                    if self.adapter is not None:
                        from peft import PeftModel

                        model = PeftModel.from_pretrained(model, self.adapter)
                    if getattr(model.config, log_n_attention.FIELD, None) is not None:
                        model.set_attn_implementation(log_n_attention.register())
                    model = model.to(device).eval()
                except (
                    Exception
                ) as error:  # house: a damaged folder can fail anywhere in transformers; wherever it does, the error is clear
                    why = shorten(f"{type(error).__name__}: {error}", 300)
                    raise ModelError(
                        f"{self.name}: cannot be loaded ({why}). The folder needs config.json, tokenizer files and *.safetensors that belong together; "
                        "save_pretrained of the model and of its tokenizer writes them"
                    ) from error
            self._loaded = model, tokenizer
        return self._loaded

    def _rendered(self, request: Request) -> str:
        """The text that the model continues."""
        if "chat" not in self.abilities:
            return request.plain
        _, tokenizer = self._load()
        messages = with_system(request.messages, self.options.system)
        import jinja2

        try:
            text = tokenizer.apply_chat_template([_turn(m) for m in messages], tokenize=False, add_generation_prompt=True)
        except jinja2.TemplateError:  # a template that takes no system turn
            text = tokenizer.apply_chat_template([_turn(m) for m in merged_system(messages)], tokenize=False, add_generation_prompt=True)
        return text + request.prefill

    def _tokens(self, text: str) -> list[int]:
        _, tokenizer = self._load()
        return tokenizer(text, add_special_tokens="chat" not in self.abilities)["input_ids"]

    def _generate_block(self, requests: Sequence[Request], sampling: Sampling) -> list[Reply]:
        model, tokenizer = self._load()  # first: it says what to install where torch is missing
        import torch

        prompts = [self._tokens(self._rendered(request)) for request in requests]
        room = getattr(model.config, "max_position_embeddings", None) or 1 << 30
        order = sorted(
            (row for row, tokens in enumerate(prompts) if len(tokens) + sampling.max_tokens <= room),
            key=lambda row: (len(prompts[row]), row),
        )
        replies = [_too_long(len(tokens), sampling.max_tokens, room) for tokens in prompts]
        if not order:
            return replies
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0
        width = max(len(prompts[row]) for row in order)
        ids_BT = torch.tensor([[pad] * (width - len(prompts[row])) + prompts[row] for row in order], device=model.device)
        mask_BT = torch.tensor([[0] * (width - len(prompts[row])) + [1] * len(prompts[row]) for row in order], device=model.device)
        out_BT = self._decode(ids_BT, mask_BT, sampling, pad)
        ends = _end_tokens(model, tokenizer)
        for row, new in zip(order, out_BT[:, width:].tolist(), strict=True):
            replies[row] = _reply(tokenizer, new, ends, pad, sampling, len(prompts[row]))
        return replies

    def _decode(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor, sampling: Sampling, pad: int) -> torch.Tensor:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        from genscope.models.quiet import quietly

        model, tokenizer = self._load()
        sampled = sampling.temperature > 0
        chosen: dict[str, Any] = {"max_new_tokens": sampling.max_tokens, "do_sample": sampled, "pad_token_id": pad, "use_cache": True}
        chosen["eos_token_id"] = sorted(_end_tokens(model, tokenizer)) or None
        if sampled:
            chosen |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
        nucleus = None
        if sampled and sampling.top_k > 0 and sampling.top_p < 1:
            chosen |= {"top_p": 1.0, "top_k": 0}
            nucleus = LogitsProcessorList([_NucleusOfTop(sampling.top_k, sampling.top_p)])
        if sampling.repetition_penalty != 1.0:
            chosen["repetition_penalty"] = sampling.repetition_penalty
        stops = StoppingCriteriaList([_StopTexts(tokenizer, sampling.stop, ids_BT.shape[1])]) if sampling.stop else None
        own, model.generation_config = model.generation_config, GenerationConfig()  # the folder's own settings must not leak in
        try:
            with torch.inference_mode(), torch.random.fork_rng(devices=[]), quietly():
                if sampled:
                    torch.manual_seed(sampling.seed)  # house: seeded inside fork_rng from the seed tree
                return model.generate(
                    input_ids=ids_BT, attention_mask=mask_BT, generation_config=GenerationConfig(**chosen), stopping_criteria=stops, logits_processor=nucleus
                )  # fmt: skip
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.name}: out of memory on a block of {len(ids_BT)} prompts of {ids_BT.shape[1]} tokens. Use ?dtype=bf16, ?device=cpu or a smaller model"
            ) from error
        except RuntimeError as error:
            raise ModelError(
                f"{self.name}: decoding failed: {error}. NaN weights or a dtype that the device lacks are usual causes; try ?dtype=f32"
            ) from error
        finally:
            model.generation_config = own

    def _score_one(self, job: ScoreJob) -> list[TokenLogprobs]:
        """Log-probabilities of the continuations: the prefix runs once, its cache is repeated, continuations are right-padded. [] when the context is too short."""
        model, tokenizer = self._load()
        import torch

        special = set(tokenizer.all_special_ids)
        prefix = self._tokens(self._rendered(job.request))
        tails = [[t for t in tokenizer(text, add_special_tokens=False)["input_ids"] if t not in special] for text in job.continuations]
        if not all(tails):
            raise ModelError(f"{self.name}: a continuation has no token: {job.continuations[tails.index([])]!r}")
        width = max(map(len, tails))
        if len(prefix) + width > (getattr(model.config, "max_position_embeddings", None) or 1 << 30):
            return []
        with torch.inference_mode():
            first = model(input_ids=torch.tensor([prefix], device=model.device), use_cache=True)
            cache = first.past_key_values
            cache.batch_repeat_interleave(len(tails))
            ids_BT = torch.tensor([tail + [0] * (width - len(tail)) for tail in tails], device=model.device)
            mask_BT = torch.tensor([[1] * (len(prefix) + len(tail)) + [0] * (width - len(tail)) for tail in tails], device=model.device)
            logits = model(input_ids=ids_BT, attention_mask=mask_BT, past_key_values=cache, use_cache=True).logits
            before = torch.cat([first.logits[:, -1:].expand(len(tails), -1, -1), logits[:, :-1]], dim=1)
            logprobs_BT = before.float().log_softmax(-1).gather(-1, ids_BT[..., None])[..., 0]
        found = [row[: len(tail)] for row, tail in zip(logprobs_BT.tolist(), tails, strict=True)]
        if any(value != value for row in found for value in row):
            raise ModelError(f"{self.name}: log-probabilities are NaN; the weights are damaged, or the dtype overflows: try ?dtype=f32")
        return found


def hub_folder(name: str, revision: str | None) -> Path:
    """The folder of a hub model: from the local cache, else downloaded (safetensors, configuration and tokenizer only)."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled
    except ImportError as error:
        raise missing_extra(f"hf:{name} is downloaded by huggingface_hub", "hf") from error
    wanted = ["*.safetensors", "*.json", "*.jinja", "tokenizer*", "*.txt", "*.model"]
    try:
        try:
            return Path(snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=wanted))
        except LocalEntryNotFoundError:
            return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"hf:{name}: neither a folder nor a model that the hub gives ({first}). Check the name and the network, or give a local folder"
        ) from error


def folder_origin(folder: Path) -> Origin:
    """Weights in a folder of the user's."""
    return Origin(
        folder=lambda: folder, identity=lambda: {"files": weights.folder_identity(folder)}, sentence=f"A local model folder, {folder.name}"
    )


def hub_origin(name: str, revision: str | None) -> Origin:
    """Weights of the hub."""
    found: list[Path] = []

    def folder() -> Path:
        if not found:
            found.append(hub_folder(name, revision))
        return found[0]

    return Origin(
        folder=folder, identity=lambda: {"files": weights.folder_identity(folder())}, sentence=f"{name} from the Hugging Face hub"
    )


def gguf_origin(path: Path, sentence: str) -> Origin:
    """Weights in a GGUF file; its own hash identifies them, so that a stored run needs no conversion."""

    def identity() -> dict[str, Any]:
        return {"gguf": weights.file_hash(path), "conversion": gguf.CONVERSION}

    return Origin(folder=lambda: gguf.convert(path), identity=identity, sentence=sentence, facts={"file": path.name})


def _turn(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    named = model.generation_config.eos_token_id if model.generation_config is not None else None
    config = getattr(model.config, "eos_token_id", None)
    found: set[int] = set()
    for value in (named, config, tokenizer.eos_token_id):
        found |= set(value) if isinstance(value, (list, tuple)) else {value} if isinstance(value, int) else set()
    return found


def _reply(tokenizer: Any, new: list[int], ends: set[int], pad: int, sampling: Sampling, tokens_in: int) -> Reply:
    end = next((place for place, token in enumerate(new) if token in ends), None)
    kept = new if end is None else new[:end]
    while end is None and kept and kept[-1] == pad:  # rows that a stop text ended are padded
        kept = kept[:-1]
    text = tokenizer.decode(kept, skip_special_tokens=True)
    cut = min((place for stop in sampling.stop if (place := text.find(stop)) >= 0), default=None)
    finish = "stop" if end is not None or cut is not None else "length"
    text = clean(text if cut is None else text[:cut], REPLY_CHARACTERS)
    thinking, answer = split_thinking(text)
    return Reply(text=answer, thinking=thinking, tokens_in=tokens_in, tokens_out=len(kept) + (end is not None), finish=finish)


def _too_long(tokens: int, new: int, room: int) -> Reply:
    return Reply(
        text="",
        tokens_in=tokens,
        finish="failed",
        error=f"prompt of {tokens} tokens and {new} new ones exceed the model's context of {room}",
    )


class _NucleusOfTop:
    """Top-k, then top-p among those k: the same distribution as the two filters of transformers one after the other, without sorting the whole vocabulary."""

    def __init__(self, top_k: int, top_p: float) -> None:
        self.top_k, self.top_p = top_k, top_p

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        best_BK, places_BK = scores.topk(min(self.top_k, scores.shape[-1]), dim=-1)
        share_BK = best_BK.float().softmax(-1)
        # a token is kept while the mass before it is below top_p; the first one always is
        dropped_BK = share_BK.cumsum(-1) - share_BK >= self.top_p
        return torch.full_like(scores, -torch.inf).scatter(-1, places_BK, best_BK.masked_fill(dropped_BK, -torch.inf))


class _StopTexts:
    """Ends a row when its newest text holds a stop text; called by transformers after each step."""

    def __init__(self, tokenizer: Any, stops: Sequence[str], prompt: int) -> None:
        self.tokenizer, self.stops, self.prompt = tokenizer, stops, prompt
        self.window = max(len(stop) for stop in stops) + 8

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        import torch

        newest = input_ids[:, max(self.prompt, input_ids.shape[1] - self.window) :]
        texts = self.tokenizer.batch_decode(newest, skip_special_tokens=True)
        return torch.tensor([any(stop in text for stop in self.stops) for text in texts], device=input_ids.device)
