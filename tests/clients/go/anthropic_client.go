// The anthropic-sdk-go package: messages, their streams, and what it does with failures.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
)

func anthropicCases() ([]playedCase, func(error) int) {
	client := anthropic.NewClient(option.WithBaseURL(url), option.WithAPIKey("none"), option.WithMaxRetries(0))
	background := context.Background()
	messages := []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(question))}
	asked := anthropic.MessageNewParams{Model: model, MaxTokens: 700, Messages: messages}
	fault := func(name string) option.RequestOption { return option.WithHeader("X-Inference-Fault", name) }
	slow := option.WithHeader("X-Case", "slow")

	ask := func(params anthropic.MessageNewParams, options ...option.RequestOption) (string, error) {
		answer, err := client.Messages.New(background, params, options...)
		if err != nil {
			return "", err
		}
		return answer.Content[0].Text, nil
	}
	whole := func(options ...option.RequestOption) play {
		return func() (string, error) { return ask(asked, options...) }
	}
	accumulated := func(params anthropic.MessageNewParams, options ...option.RequestOption) (anthropic.Message, error) {
		stream := client.Messages.NewStreaming(background, params, options...)
		defer stream.Close()
		message := anthropic.Message{}
		for stream.Next() {
			if err := message.Accumulate(stream.Current()); err != nil {
				return message, err
			}
		}
		return message, stream.Err()
	}
	streamed := func(options ...option.RequestOption) play {
		return func() (string, error) {
			message, err := accumulated(asked, options...)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%s %s", message.Content[0].Text, message.StopReason), nil
		}
	}
	callOf := func(message anthropic.Message) (string, error) {
		call := message.Content[0].AsToolUse()
		keys, err := keysOf(string(call.Input))
		return fmt.Sprintf("%s %s %s", call.Name, keys, message.StopReason), err
	}
	tools := func() (string, error) {
		params := asked
		input := anthropic.ToolInputSchemaParam{Properties: properties, Required: required}
		params.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{Name: "get_weather", InputSchema: input}}}
		params.ToolChoice = anthropic.ToolChoiceParamOfTool("get_weather")
		answer, err := client.Messages.New(background, params)
		if err != nil {
			return "", err
		}
		final, err := accumulated(params)
		if err != nil {
			return "", err
		}
		one, err := callOf(*answer)
		if err != nil {
			return "", err
		}
		other, err := callOf(final)
		return one + ", " + other, err
	}
	cases := []playedCase{
		{"messages", func() (string, error) {
			answer, err := client.Messages.New(background, asked)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%s %s %d", answer.Content[0].Text, answer.StopReason, answer.Usage.OutputTokens), nil
		}},
		{"messages stream", streamed()},
		{"tools", tools},
		{"structured output", func() (string, error) {
			params := asked
			params.OutputConfig = anthropic.OutputConfigParam{Format: anthropic.JSONOutputFormatParam{Schema: schema}}
			said, err := ask(params)
			if err != nil {
				return "", err
			}
			return keysOf(said)
		}},
		{"count of tokens", func() (string, error) {
			params := anthropic.MessageCountTokensParams{Model: model, Messages: messages}
			answer, err := client.Messages.CountTokens(background, params)
			if err != nil {
				return "", err
			}
			return fmt.Sprint(answer.InputTokens), nil
		}},
		{"models", func() (string, error) {
			names := []string{}
			pages := client.Models.ListAutoPaging(background, anthropic.ModelListParams{})
			for pages.Next() {
				names = append(names, pages.Current().ID)
			}
			return strings.Join(names, " "), pages.Err()
		}},
		{"400", func() (string, error) {
			return ask(anthropic.MessageNewParams{Model: model, MaxTokens: 700, Messages: []anthropic.MessageParam{}})
		}},
		{"404", func() (string, error) {
			return ask(anthropic.MessageNewParams{Model: "other", MaxTokens: 700, Messages: messages})
		}},
		{"retry", func() (string, error) {
			return waited(whole(option.WithHeader("X-Case", "retry"), option.WithMaxRetries(1)))
		}},
		{"time limit", whole(fault("close-before-status:how=hang"), option.WithRequestTimeout(time.Second))},
		{"time limit of a stream", streamed(fault("stall:event=4,seconds=20"), option.WithRequestTimeout(time.Second))},
		{"stream cancelled", func() (string, error) {
			stream := client.Messages.NewStreaming(background, asked, slow)
			for stream.Next() && stream.Current().Type != "content_block_delta" {
			}
			if busy, err := running(); err != nil || !busy {
				return "nothing runs", errors.Join(err, stream.Err())
			}
			if err := stream.Close(); err != nil {
				return "", err
			}
			return released()
		}},
		{"call cancelled", func() (string, error) {
			return cancelled(func(ctx context.Context) error {
				_, err := client.Messages.New(ctx, asked, slow)
				return err
			})
		}},
		{"body cut", whole(fault("cut-after-events"))},
		{"stream cut", streamed(fault("cut-after-events:events=4"))},
		{"stream reset", streamed(fault("cut-after-events:events=4,how=reset"))},
		{"stream cut in JSON", streamed(fault("cut-in-json:event=4"))},
		{"error in the stream", streamed(fault("error-mid-stream:events=4"))},
		{"malformed event", streamed(fault("malformed-json:event=4"))},
		{"start event missing", streamed(fault("start-event-late"))},
		{"closed", whole(fault("close-before-status"))},
		{"reset", whole(fault("close-before-status:how=reset"))},
	}
	for _, status := range []string{"401", "403", "409", "413", "422", "429", "500", "529"} {
		cases = append(cases, playedCase{status, whole(fault("status:code=" + status))})
	}
	return cases, func(err error) int {
		if told := new(anthropic.Error); errors.As(err, &told) {
			return told.StatusCode
		}
		return 0
	}
}
