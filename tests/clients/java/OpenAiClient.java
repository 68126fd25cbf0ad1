import java.io.IOException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.core.RequestOptions;
import com.openai.core.http.StreamResponse;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.helpers.ResponseAccumulator;
import com.openai.models.FunctionDefinition;
import com.openai.models.FunctionParameters;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionFunctionTool;
import com.openai.models.chat.completions.ChatCompletionToolChoiceOption;
import com.openai.models.completions.CompletionCreateParams;
import com.openai.models.embeddings.EmbeddingCreateParams;
import com.openai.models.responses.Response;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponseStreamEvent;

/**
 * The openai-java package: chats, completions, responses, embeddings, and what it does with failures. No case gives up
 * a call: neither the interrupt of its thread nor the cancellation of its future ends it.
 */
final class OpenAiClient {
    public static class Trip {
        public String city;
        public int days;
    }

    private final OpenAIClient client;

    private OpenAiClient(String url) {
        client = OpenAIOkHttpClient.builder()
                .baseUrl(url + "/v1").apiKey("none").maxRetries(0).timeout(Duration.ofSeconds(60)).build();
    }

    private static ChatCompletionCreateParams.Builder asked(Map<String, String> headers) {
        ChatCompletionCreateParams.Builder params =
                ChatCompletionCreateParams.builder().model(Playing.MODEL).addUserMessage(Playing.QUESTION);
        headers.forEach(params::putAdditionalHeader);
        return params;
    }

    private static String said(ChatCompletion answer) {
        return answer.choices().get(0).message().content().orElse("");
    }

    private String chat(Map<String, String> headers, Duration limit) {
        RequestOptions options = RequestOptions.builder().timeout(limit).build();
        return said(client.chat().completions().create(asked(headers).build(), options));
    }

    private String chat(Map<String, String> headers) {
        return chat(headers, Duration.ofSeconds(60));
    }

    private ChatCompletion accumulated(ChatCompletionCreateParams params, Duration limit) {
        ChatCompletionAccumulator all = ChatCompletionAccumulator.create();
        RequestOptions options = RequestOptions.builder().timeout(limit).build();
        try (StreamResponse<ChatCompletionChunk> stream = client.chat().completions().createStreaming(params, options)) {
            stream.stream().forEach(all::accumulate);
        }
        return all.chatCompletion();
    }

    private String streamed(Map<String, String> headers) {
        return said(accumulated(asked(headers).build(), Duration.ofSeconds(60)));
    }

    private static String callOf(ChatCompletion answer) throws IOException {
        ChatCompletion.Choice choice = answer.choices().get(0);
        var calls = choice.message().toolCalls().orElseThrow();
        if (calls.size() != 1) return calls.size() + " calls";
        var function = calls.get(0).asFunction().function();
        return function.name() + " " + Playing.keysOf(function.arguments()) + " " + choice.finishReason();
    }

    private String tools() throws IOException {
        FunctionParameters parameters = FunctionParameters.builder()
                .putAdditionalProperty("type", JsonValue.from("object"))
                .putAdditionalProperty("properties", JsonValue.from(
                        Map.of("city", Map.of("type", "string"), "days", Map.of("type", "integer"))))
                .putAdditionalProperty("required", JsonValue.from(List.of("city", "days")))
                .putAdditionalProperty("additionalProperties", JsonValue.from(false))
                .build();
        ChatCompletionCreateParams params = asked(Map.of())
                .addTool(ChatCompletionFunctionTool.builder()
                        .function(FunctionDefinition.builder().name("get_weather").parameters(parameters).build())
                        .build())
                .toolChoice(ChatCompletionToolChoiceOption.Auto.REQUIRED)
                .parallelToolCalls(false)
                .build();
        String whole = callOf(client.chat().completions().create(params));
        return whole + ", " + callOf(accumulated(params, Duration.ofSeconds(60)));
    }

    private String structured(long most) {
        var answer = client.chat().completions().create(
                asked(Map.of()).maxCompletionTokens(most).responseFormat(Trip.class).build());
        Trip trip = answer.choices().get(0).message().content().orElseThrow();
        return trip.getClass().getSimpleName() + (trip.city == null ? " without a city" : "");
    }

    private static ResponseCreateParams.Builder responseAsked(Map<String, String> headers) {
        ResponseCreateParams.Builder params =
                ResponseCreateParams.builder().model(Playing.MODEL).input(Playing.QUESTION);
        headers.forEach(params::putAdditionalHeader);
        return params;
    }

    private static String textOf(Response answer) {
        return answer.output().stream()
                .flatMap(item -> item.message().stream())
                .flatMap(message -> message.content().stream())
                .flatMap(content -> content.outputText().stream())
                .map(text -> text.text())
                .collect(Collectors.joining());
    }

    private String responded() {
        String id = client.responses().create(responseAsked(Map.of()).build()).id();
        Response stored = client.responses().retrieve(id);
        return textOf(stored) + " " + stored.status().orElseThrow();
    }

    private String respondedStream(Map<String, String> headers) {
        ResponseAccumulator all = ResponseAccumulator.create();
        try (StreamResponse<ResponseStreamEvent> stream =
                client.responses().createStreaming(responseAsked(headers).build())) {
            stream.stream().forEach(all::accumulate);
        }
        return textOf(all.response()) + " " + all.response().status().orElseThrow();
    }

    private String respondedStructured() {
        return client.responses().create(responseAsked(Map.of()).text(Trip.class).build()).output().stream()
                .flatMap(item -> item.message().stream())
                .flatMap(message -> message.content().stream())
                .map(content -> content.asOutputText().getClass().getSimpleName())
                .collect(Collectors.joining());
    }

    private String embedded() {
        return client.embeddings()
                .create(EmbeddingCreateParams.builder()
                        .model(Playing.MODEL).inputOfArrayOfStrings(List.of("a", "b")).build())
                .data().stream()
                .map(one -> "" + one.embedding().size())
                .collect(Collectors.joining(" "));
    }

    private String stopped() throws Exception {
        ChatCompletionCreateParams params = asked(Playing.named("slow")).build();
        try (StreamResponse<ChatCompletionChunk> stream = client.chat().completions().createStreaming(params)) {
            stream.stream().findFirst().orElseThrow();
            if (!Playing.running()) return "nothing runs";
        }
        return Playing.released();
    }

    private String retried() {
        return said(client.withOptions(options -> options.maxRetries(1))
                .chat().completions().create(asked(Playing.named("retry")).build()));
    }

    static Map<String, Callable<String>> cases(String url) {
        OpenAiClient one = new OpenAiClient(url);
        Duration second = Duration.ofSeconds(1);
        Map<String, Callable<String>> cases = new LinkedHashMap<>();
        cases.put("chat", () -> one.chat(Map.of()));
        cases.put("stream", () -> one.streamed(Map.of()));
        cases.put("completion", () -> one.client.completions()
                .create(CompletionCreateParams.builder().model(Playing.MODEL).prompt("a b").build())
                .choices().get(0).text());
        cases.put("tools", one::tools);
        cases.put("structured output", () -> one.structured(700));
        cases.put("structured output cut", () -> one.structured(1));
        cases.put("responses", one::responded);
        cases.put("responses stream", () -> one.respondedStream(Map.of()));
        cases.put("responses structured", one::respondedStructured);
        cases.put("embeddings", one::embedded);
        cases.put("models", () -> one.client.models().list().autoPager().stream()
                .map(model -> model.id()).collect(Collectors.joining(" ")));
        cases.put("400", () -> said(one.client.chat().completions().create(
                ChatCompletionCreateParams.builder().model(Playing.MODEL).messages(List.of()).build())));
        cases.put("404", () -> said(one.client.chat().completions().create(asked(Map.of()).model("other").build())));
        cases.put("retry", () -> Playing.waited(one::retried));
        cases.put("time limit", () -> one.chat(Playing.fault("close-before-status:how=hang"), second));
        cases.put("time limit of a stream", () -> said(
                one.accumulated(asked(Playing.fault("stall:event=2,seconds=20")).build(), second)));
        cases.put("stream cancelled", one::stopped);
        Playing.addFaults(
                cases, name -> () -> one.chat(Playing.fault(name)), 401, 403, 409, 422, 429, 500, 503);
        Playing.addStreamFaults(cases, name -> () -> one.streamed(Playing.fault(name)));
        cases.put("error in the stream", () -> one.streamed(Playing.fault("error-mid-stream:events=2")));
        cases.put("responses stream cut", () -> one.respondedStream(Playing.fault("cut-after-events:events=2")));
        cases.put("responses stream failed", () -> one.respondedStream(Playing.fault("error-mid-stream:events=2")));
        return cases;
    }
}
