// What the programs of all Go clients share: cases are played one by one, each told in a line of JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strings"
	"syscall"
	"time"
)

const (
	model    = "fake-model"
	question = "one two three"
)

var (
	properties = map[string]any{"city": map[string]any{"type": "string"}, "days": map[string]any{"type": "integer"}}
	required   = []string{"city", "days"}
	schema     = map[string]any{
		"type": "object", "properties": properties, "required": required, "additionalProperties": false,
	}
	// Where the server is, without a path.
	url string
)

type play func() (string, error)

type playedCase struct {
	name string
	run  play
}

// errorText returns the name of an error: the status of an answer, the known error that it is, or its innermost type.
func errorText(err error, status func(error) int) string {
	if code := status(err); code != 0 {
		return fmt.Sprintf("Error %d", code)
	}
	known := []error{context.DeadlineExceeded, context.Canceled, syscall.ECONNRESET, io.ErrUnexpectedEOF, io.EOF}
	for _, one := range known {
		if errors.Is(err, one) {
			return one.Error()
		}
	}
	inner := err
	for next := errors.Unwrap(inner); next != nil; next = errors.Unwrap(inner) {
		inner = next
	}
	return fmt.Sprintf("%T", inner)
}

// waited tells whether the call took at least the second that Retry-After asks for.
func waited(call play) (string, error) {
	began := time.Now()
	text, err := call()
	if err != nil {
		return "", err
	}
	if time.Since(began) < time.Second {
		return text + ", did not wait", nil
	}
	return text + ", waited", nil
}

// running returns whether the server works on requests.
func running() (bool, error) {
	answer, err := http.Get(url + "/metrics")
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, "vllm:num_requests_running{") {
			return !strings.HasSuffix(line, " 0") && !strings.HasSuffix(line, " 0.0"), nil
		}
	}
	return false, errors.New("the server does not tell what it works on")
}

// released waits until the server works on nothing more; where that is long before the answer ends, it stopped.
func released() (string, error) {
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(20 * time.Millisecond) {
		if busy, err := running(); err != nil || !busy {
			return "the server stopped", err
		}
	}
	return "the server goes on", nil
}

// cancelled gives up a call as soon as the server works on it.
func cancelled(call func(context.Context) error) (string, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- call(ctx) }()
	for {
		busy, err := running()
		if err != nil {
			return "", err
		}
		if busy {
			break
		}
		select {
		case err := <-ended:
			return "not cancelled", err
		case <-time.After(20 * time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return "not cancelled", err
	}
	return released()
}

// keysOf returns the sorted keys of a JSON object.
func keysOf(text string) (string, error) {
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return "", err
	}
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return strings.Join(keys, " "), nil
}

func main() {
	clients := map[string]func() ([]playedCase, func(error) int){"openai": openaiCases, "anthropic": anthropicCases}
	if len(os.Args) != 3 || clients[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: clients openai|anthropic URL")
		os.Exit(2)
	}
	url = os.Args[2]
	cases, status := clients[os.Args[1]]()
	lines := json.NewEncoder(os.Stdout)
	for _, one := range cases {
		outcome, detail := "", ""
		text, err := one.run()
		if outcome = text; err != nil {
			outcome, detail = errorText(err, status), err.Error()
		}
		if err := lines.Encode(map[string]string{"case": one.name, "outcome": outcome, "detail": detail}); err != nil {
			panic(err)
		}
	}
}
