import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import java.util.function.Function;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/** What the programs of all Java clients share: cases are played one by one, each told in a line of JSON. */
final class Playing {
    static final String MODEL = "fake-model";
    static final String QUESTION = "one two three";
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    /** Where the server is, without a path. */
    private static String url;

    private Playing() {}

    static Map<String, String> fault(String name) {
        return Map.of("X-Inference-Fault", name);
    }

    static Map<String, String> named(String name) {
        return Map.of("X-Case", name);
    }

    /** Adds the faults of whole answers by the names of their cases, with a refusal for each status. */
    static void addFaults(
            Map<String, Callable<String>> cases, Function<String, Callable<String>> under, int... statuses) {
        cases.put("closed", under.apply("close-before-status"));
        cases.put("reset", under.apply("close-before-status:how=reset"));
        cases.put("body cut", under.apply("cut-after-events"));
        for (int status : statuses) cases.put("" + status, under.apply("status:code=" + status));
    }

    static void addStreamFaults(Map<String, Callable<String>> cases, Function<String, Callable<String>> under) {
        cases.put("stream cut", under.apply("cut-after-events:events=2"));
        cases.put("stream reset", under.apply("cut-after-events:events=2,how=reset"));
        cases.put("stream cut in JSON", under.apply("cut-in-json:event=2"));
        cases.put("malformed event", under.apply("malformed-json:event=2"));
    }

    /** Returns the sorted keys of a JSON object. */
    static String keysOf(String text) throws IOException {
        JsonNode object = JSON.readTree(text);
        TreeSet<String> keys = new TreeSet<>();
        object.fieldNames().forEachRemaining(keys::add);
        return String.join(" ", keys);
    }

    /** Returns what the call returns, and whether it took at least the second that Retry-After asks for. */
    static String waited(Callable<String> call) throws Exception {
        long began = System.nanoTime();
        String text = call.call();
        return text + (System.nanoTime() - began >= 1e9 ? ", waited" : ", did not wait");
    }

    /** Returns whether the server works on requests. */
    static boolean running() throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/metrics")).build();
        String text = HTTP.send(request, HttpResponse.BodyHandlers.ofString()).body();
        String line = text.lines().filter(one -> one.startsWith("vllm:num_requests_running{")).findFirst().orElseThrow();
        return Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)) > 0;
    }

    /** Waits until the server works on nothing more; where that is long before the answer ends, it stopped. */
    static String released() throws IOException, InterruptedException {
        for (long began = System.nanoTime(); System.nanoTime() - began < 30e9; Thread.sleep(20)) {
            if (!running()) return "the server stopped";
        }
        return "the server goes on";
    }

    /** Interrupts the thread of a call as soon as the server works on it. */
    static String interrupted(Callable<String> call) throws Exception {
        FutureTask<String> task = new FutureTask<>(call);
        Thread thread = new Thread(task);
        thread.start();
        while (!task.isDone() && !running()) Thread.sleep(20);
        if (task.isDone()) return "not cancelled: " + task.get();
        thread.interrupt();
        return released();
    }

    /** Returns the class of an error and, where it or what it was made of has one, its status. */
    private static String errorText(Throwable error) {
        if (error instanceof java.util.concurrent.ExecutionException) return errorText(error.getCause());
        String name = error.getClass().getSimpleName();
        for (Throwable one = error; one != null; one = one.getCause()) {
            try {
                return name + " " + one.getClass().getMethod("statusCode").invoke(one);
            } catch (ReflectiveOperationException hasNone) {
                continue;
            }
        }
        return name;
    }

    private static String detailOf(Throwable error) {
        return error + (error.getCause() == null ? "" : " < " + detailOf(error.getCause()));
    }

    public static void main(String[] arguments) throws IOException {
        Map<String, Function<String, Map<String, Callable<String>>>> clients =
                Map.of("openai", OpenAiClient::cases, "langchain4j", LangChain4jClient::cases);
        if (arguments.length != 2 || !clients.containsKey(arguments[0])) {
            System.err.println("usage: Playing openai|langchain4j URL");
            System.exit(2);
        }
        url = arguments[1];
        for (Map.Entry<String, Callable<String>> one : clients.get(arguments[0]).apply(url).entrySet()) {
            String outcome;
            String detail = "";
            try {
                outcome = one.getValue().call();
            } catch (Exception error) {
                outcome = errorText(error);
                detail = detailOf(error);
            }
            System.out.println(JSON.writeValueAsString(
                    Map.of("case", one.getKey(), "outcome", String.valueOf(outcome), "detail", detail)));
        }
        // The threads of the clients' own pools would keep the program for a minute.
        System.exit(0);
    }
}
