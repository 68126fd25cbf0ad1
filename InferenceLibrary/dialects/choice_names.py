"""The names that choices may use: of values in templates, of errors, of APIs and of templates."""

from __future__ import annotations

_NAMES = (
    "id created model served choices usage fingerprint version context origin host path method now index message "
    "logprobs finish content text tool_calls reasoning reasoning_tokens stop_reason stop_sequence call_id item_id "
    "name arguments token logprob bytes top token_id offset prompt_tokens completion_tokens total_tokens "
    "cached_tokens uncached_tokens tokens token_logprobs top_logprobs text_offset delta output status incomplete "
    "instructions metadata temperature top_p tools tool_choice parallel max_tokens previous_response_id response "
    "block input service_tier truncation text_format data embedding object score document count pieces prompt "
    "created_at dimensions error_type error_code message_of_error param field value low high request_id template "
    "model_path nothing allow_headers index_of_choice prompt_logprobs prompt_ids answer_ids piece_ids "
    "running_usage strict description parameters cut hex8 hex16 hex24 hex32 last_fingerprint letters24 letters32 "
    "uuid number number6 asked encoding last_timings response_call_id thinking last right completed_at background "
    "type entries function_call if_origin reason allow found expected places null_in_whole zero_usage "
    "entry serial partial first_seconds rest_seconds total_seconds prompt_speed answer_speed total_speed req_hex32 at "
    "named_function verbose root parent token_strs store problems loc place item at_end at_item at_parent within limit "
    "after_item after_field python_type bias_words bias_beyond vocabulary more_than_context in_json field_json "
    "message_repr message_json item_json broken in_rust low high limits read "
)
NAMES = frozenset(_NAMES.split())
"""What a template may name."""

ERRORS = (
    "no route", "wrong method", "no key", "wrong key", "content type", "empty body", "not utf-8", "not json",
    "half character", "not an object", "missing", "type", "range", "model", "too long", "other",
)  # fmt: skip
"""The errors that the stand-in asks for by itself; a dialect adds those that its `refuses` name."""

APIS = (
    "chat", "completions", "responses", "messages", "count_tokens", "embeddings", "rerank", "score", "tokenize",
    "detokenize", "native", "native_embeddings",
)  # fmt: skip

ANSWERS = {
    "chat": "answer choice message call logprobs logprob top usage chunk opening piece finish usage_chunk call_piece "
    "arguments_piece reasoning_piece timings",
    "completions": "answer choice logprobs usage chunk piece finish usage_chunk",
    "responses": "answer message part call usage reasoning tool other_tool",
    "response_events": "response.created response.in_progress response.output_item.added response.content_part.added "
    "response.output_text.delta response.output_text.done response.content_part.done "
    "response.function_call_arguments.delta response.function_call_arguments.done response.output_item.done "
    "response.completed response.incomplete",
    "messages": "answer text call call_start thinking usage",
    "message_events": "message_start ping content_block_start content_block_delta content_block_stop message_delta "
    "message_stop",
    "embeddings": "answer item usage",
    "rerank": "answer item usage",
    "score": "answer item usage",
    "count_tokens": "answer",
    "response_tokens": "answer",
    "tokenize": "answer",
    "detokenize": "answer",
    "models": "answer item",
}
"""The templates of answers, by API."""

CHUNKS = (
    "chunk", "opening", "piece", "finish", "usage_chunk", "call_piece", "arguments_piece", "reasoning_piece",
)  # fmt: skip
"""Those of them that chunks of a stream are joined from: objects."""

FORMS = ("str", "int", "float", "bool", "dict", "list", "object", "iterable", "Literal", "None")
"""The words of forms, besides the names of models."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods of routes."""

IDS = (
    "chat", "completions", "responses", "messages", "call", "item", "call_item", "response_call", "embeddings",
    "rerank", "score",
)  # fmt: skip
"""What has an id of its own."""

COUNTED = (
    "$always", "$prompt_tokens", "$places", "$context", "$beyond", "$over_limit", "$over_places", "$bias_words",
    "$bias_beyond", "$vocabulary", "$more_than_context", "$limit", "$min_over", "$not_finite", "$thinking_over",
    "$named_function", "$named_offered",
)  # fmt: skip
"""What is counted of a request, for refusals to look at."""

NATIVE = (
    "native_llama_cpp", "native_llama_cpp_python", "native_mistralrs", "native_ollama", "native_transformers",
    "native_vllm",
)  # fmt: skip
"""The modules of the stand-in with routes that only one server has."""
