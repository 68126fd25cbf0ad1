import java.io.IOException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiEmbeddingModel;
import dev.langchain4j.model.openai.OpenAiResponsesStreamingChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;

/**
 * langchain4j with its models of OpenAI, on the JDK's HTTP client, which offers h2c with each request. It does not hear
 * of three things, which no case asks: Retry-After, a stream that stalls, and an error in a stream.
 */
final class LangChain4jClient {
    private static final JsonObjectSchema TRIP = JsonObjectSchema.builder()
            .addStringProperty("city").addIntegerProperty("days").required("city", "days")
            .additionalProperties(false).build();
    private final String base;

    private LangChain4jClient(String url) {
        base = url + "/v1";
    }

    private ChatModel model(String name, Map<String, String> headers, int retries, Duration limit) {
        return OpenAiChatModel.builder()
                .baseUrl(base).apiKey("none").modelName(name).maxRetries(retries).timeout(limit)
                .customHeaders(headers).strictJsonSchema(true).build();
    }

    private ChatModel model(Map<String, String> headers) {
        return model(Playing.MODEL, headers, 0, Duration.ofSeconds(60));
    }

    private StreamingChatModel streaming(Map<String, String> headers, Duration limit) {
        return OpenAiStreamingChatModel.builder()
                .baseUrl(base).apiKey("none").modelName(Playing.MODEL).timeout(limit).customHeaders(headers).build();
    }

    private StreamingChatModel responding() {
        return OpenAiResponsesStreamingChatModel.builder()
                .baseUrl(base).apiKey("none").modelName(Playing.MODEL).build();
    }

    private static ChatRequest.Builder asked() {
        return ChatRequest.builder().messages(UserMessage.from(Playing.QUESTION));
    }

    /** Waits for the end of a stream; the text of its parts must be that of the whole. */
    private static ChatResponse streamed(StreamingChatModel model, ChatRequest request) throws Exception {
        CompletableFuture<ChatResponse> ended = new CompletableFuture<>();
        StringBuffer parts = new StringBuffer();
        model.chat(request, new StreamingChatResponseHandler() {
            @Override
            public void onPartialResponse(String part) {
                parts.append(part);
            }

            @Override
            public void onCompleteResponse(ChatResponse answer) {
                String text = answer.aiMessage().text();
                if (text != null && !text.contentEquals(parts)) {
                    ended.completeExceptionally(new IllegalStateException(text + " from " + parts));
                }
                ended.complete(answer);
            }

            @Override
            public void onError(Throwable error) {
                ended.completeExceptionally(error);
            }
        });
        return ended.get(60, TimeUnit.SECONDS);
    }

    private String streamed(Map<String, String> headers, Duration limit) throws Exception {
        ChatResponse answer = streamed(streaming(headers, limit), asked().build());
        return answer.aiMessage().text() + " " + answer.finishReason();
    }

    private String streamed(Map<String, String> headers) throws Exception {
        return streamed(headers, Duration.ofSeconds(60));
    }

    private static String callOf(ChatResponse answer) throws IOException {
        List<ToolExecutionRequest> calls = answer.aiMessage().toolExecutionRequests();
        if (calls.size() != 1) return calls.size() + " calls";
        return calls.get(0).name() + " " + Playing.keysOf(calls.get(0).arguments()) + " " + answer.finishReason();
    }

    private static ChatRequest withTools() {
        return asked()
                .toolSpecifications(ToolSpecification.builder().name("get_weather").parameters(TRIP).build())
                .toolChoice(ToolChoice.REQUIRED).build();
    }

    private String tools() throws Exception {
        String whole = callOf(model(Map.of()).chat(withTools()));
        return whole + ", " + callOf(streamed(streaming(Map.of(), Duration.ofSeconds(60)), withTools()));
    }

    private static ChatRequest withFormat() {
        JsonSchema schema = JsonSchema.builder().name("trip").rootElement(TRIP).build();
        return asked()
                .responseFormat(ResponseFormat.builder().type(ResponseFormatType.JSON).jsonSchema(schema).build())
                .build();
    }

    private String embedded() {
        return OpenAiEmbeddingModel.builder().baseUrl(base).apiKey("none").modelName(Playing.MODEL).build()
                .embedAll(List.of(TextSegment.from("a"), TextSegment.from("b"))).content().stream()
                .map(one -> "" + one.dimension())
                .collect(Collectors.joining(" "));
    }

    private String stopped() throws Exception {
        CompletableFuture<String> cancelled = new CompletableFuture<>();
        streaming(Playing.named("slow"), Duration.ofSeconds(60)).chat(asked().build(), new StreamingChatResponseHandler() {
            @Override
            public void onPartialResponse(PartialResponse part, PartialResponseContext context) {
                if (context.streamingHandle().isCancelled()) return;
                try {
                    String now = Playing.running() ? "it ran" : "nothing runs";
                    context.streamingHandle().cancel();
                    cancelled.complete(now);
                } catch (IOException | InterruptedException error) {
                    cancelled.completeExceptionally(error);
                }
            }

            @Override
            public void onCompleteResponse(ChatResponse answer) {
                cancelled.complete("not cancelled");
            }

            @Override
            public void onError(Throwable error) {
                cancelled.completeExceptionally(error);
            }
        });
        return cancelled.get(60, TimeUnit.SECONDS) + ", " + Playing.released();
    }

    static Map<String, Callable<String>> cases(String url) {
        LangChain4jClient one = new LangChain4jClient(url);
        Duration second = Duration.ofSeconds(1);
        Duration minute = Duration.ofSeconds(60);
        Map<String, Callable<String>> cases = new LinkedHashMap<>();
        cases.put("chat", () -> one.model(Map.of()).chat(Playing.QUESTION));
        cases.put("stream", () -> one.streamed(Map.of()));
        cases.put("usage", () -> "" + one.model(Map.of()).chat(asked().build()).tokenUsage().outputTokenCount());
        cases.put("tools", one::tools);
        cases.put("structured output",
                () -> Playing.keysOf(one.model(Map.of()).chat(withFormat()).aiMessage().text()));
        cases.put("responses stream", () -> {
            ChatResponse answer = streamed(one.responding(), asked().build());
            return answer.aiMessage().text() + " " + answer.finishReason();
        });
        cases.put("responses tools", () -> callOf(streamed(one.responding(), withTools())));
        cases.put("embeddings", one::embedded);
        cases.put("404", () -> one.model("other", Map.of(), 0, minute).chat(Playing.QUESTION));
        cases.put("retry", () -> one.model(Playing.MODEL, Playing.named("retry"), 1, minute).chat(Playing.QUESTION));
        cases.put("time limit", () -> one.model(
                Playing.MODEL, Playing.fault("close-before-status:how=hang"), 0, second).chat(Playing.QUESTION));
        cases.put("stream cancelled", one::stopped);
        cases.put("call cancelled",
                () -> Playing.interrupted(() -> one.model(Playing.named("slow")).chat(Playing.QUESTION)));
        Playing.addFaults(
                cases, name -> () -> one.model(Playing.fault(name)).chat(Playing.QUESTION),
                401, 403, 409, 422, 429, 500, 503);
        Playing.addStreamFaults(cases, name -> () -> one.streamed(Playing.fault(name)));
        return cases;
    }
}
