// The openai-go package: chats, completions, responses, embeddings, and what it does with failures.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

func openaiCases() ([]playedCase, func(error) int) {
	client := openai.NewClient(
		option.WithBaseURL(url+"/v1"), option.WithAPIKey("none"), option.WithMaxRetries(0),
	)
	background := context.Background()
	asked := openai.ChatCompletionNewParams{
		Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(question)},
	}
	structured := asked
	structured.ResponseFormat = openai.ChatCompletionNewParamsResponseFormatUnion{
		OfJSONSchema: &openai.ResponseFormatJSONSchemaParam{
			JSONSchema: openai.ResponseFormatJSONSchemaJSONSchemaParam{
				Name: "trip", Schema: schema, Strict: openai.Bool(true),
			},
		},
	}
	text := responses.ResponseNewParams{
		Model: model, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(question)},
	}
	fault := func(name string) option.RequestOption { return option.WithHeader("X-Inference-Fault", name) }
	slow := option.WithHeader("X-Case", "slow")

	chat := func(params openai.ChatCompletionNewParams, options ...option.RequestOption) (string, error) {
		answer, err := client.Chat.Completions.New(background, params, options...)
		if err != nil {
			return "", err
		}
		return answer.Choices[0].Message.Content, nil
	}
	whole := func(options ...option.RequestOption) play {
		return func() (string, error) { return chat(asked, options...) }
	}
	accumulated := func(params openai.ChatCompletionNewParams, options ...option.RequestOption) (openai.ChatCompletion, error) {
		stream := client.Chat.Completions.NewStreaming(background, params, options...)
		defer stream.Close()
		all := openai.ChatCompletionAccumulator{}
		for stream.Next() {
			all.AddChunk(stream.Current())
		}
		return all.ChatCompletion, stream.Err()
	}
	streamed := func(options ...option.RequestOption) play {
		return func() (string, error) {
			answer, err := accumulated(asked, options...)
			if err != nil {
				return "", err
			}
			return answer.Choices[0].Message.Content, nil
		}
	}
	callOf := func(choice openai.ChatCompletionChoice) (string, error) {
		if len(choice.Message.ToolCalls) != 1 {
			return "", fmt.Errorf("%d calls", len(choice.Message.ToolCalls))
		}
		call := choice.Message.ToolCalls[0].Function
		keys, err := keysOf(call.Arguments)
		return call.Name + " " + keys + " " + choice.FinishReason, err
	}
	tools := func() (string, error) {
		params := asked
		params.Tools = []openai.ChatCompletionToolUnionParam{
			openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{Name: "get_weather", Parameters: schema}),
		}
		params.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("required")}
		params.ParallelToolCalls = openai.Bool(false)
		answer, err := client.Chat.Completions.New(background, params)
		if err != nil {
			return "", err
		}
		final, err := accumulated(params)
		if err != nil {
			return "", err
		}
		one, err := callOf(answer.Choices[0])
		if err != nil {
			return "", err
		}
		other, err := callOf(final.Choices[0])
		return one + ", " + other, err
	}
	respondedStream := func(options ...option.RequestOption) play {
		return func() (string, error) {
			stream := client.Responses.NewStreaming(background, text, options...)
			defer stream.Close()
			kinds, said := []string{}, ""
			for stream.Next() {
				kinds = append(kinds, stream.Current().Type)
				if stream.Current().Type == "response.output_text.delta" {
					said += stream.Current().Delta
				}
			}
			if stream.Err() != nil {
				return "", stream.Err()
			}
			return strings.TrimSpace(kinds[0] + " " + kinds[len(kinds)-1] + " " + said), nil
		}
	}
	cases := []playedCase{
		{"chat", whole()},
		{"stream", streamed()},
		{"usage of a stream", func() (string, error) {
			params := asked
			params.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
			answer, err := accumulated(params)
			return fmt.Sprintf("%d tokens", answer.Usage.CompletionTokens), err
		}},
		{"completion", func() (string, error) {
			prompt := openai.CompletionNewParamsPromptUnion{OfString: openai.String("a b")}
			answer, err := client.Completions.New(background, openai.CompletionNewParams{Model: model, Prompt: prompt})
			if err != nil {
				return "", err
			}
			return answer.Choices[0].Text, nil
		}},
		{"tools", tools},
		{"structured output", func() (string, error) {
			said, err := chat(structured)
			if err != nil {
				return "", err
			}
			return keysOf(said)
		}},
		{"responses", func() (string, error) {
			answer, err := client.Responses.New(background, text)
			if err != nil {
				return "", err
			}
			stored, err := client.Responses.Get(background, answer.ID, responses.ResponseGetParams{})
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%s %s", stored.OutputText(), stored.Status), nil
		}},
		{"responses stream", respondedStream()},
		{"responses structured", func() (string, error) {
			params := text
			params.Text.Format = responses.ResponseFormatTextConfigParamOfJSONSchema("trip", schema)
			answer, err := client.Responses.New(background, params)
			if err != nil {
				return "", err
			}
			return keysOf(answer.OutputText())
		}},
		{"responses tools", func() (string, error) {
			params := text
			params.Tools = []responses.ToolUnionParam{responses.ToolParamOfFunction("get_weather", schema, true)}
			params.ToolChoice.OfToolChoiceMode = openai.Opt(responses.ToolChoiceOptionsRequired)
			answer, err := client.Responses.New(background, params)
			if err != nil {
				return "", err
			}
			for _, item := range answer.Output {
				if item.Type == "function_call" {
					return item.Name + " " + item.Status, nil
				}
			}
			return "", errors.New("no call")
		}},
		{"embeddings", func() (string, error) {
			input := openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a", "b"}}
			answer, err := client.Embeddings.New(background, openai.EmbeddingNewParams{Model: model, Input: input})
			if err != nil {
				return "", err
			}
			return fmt.Sprint(len(answer.Data[0].Embedding), len(answer.Data[1].Embedding)), nil
		}},
		{"models", func() (string, error) {
			names := []string{}
			pages := client.Models.ListAutoPaging(background)
			for pages.Next() {
				names = append(names, pages.Current().ID)
			}
			return strings.Join(names, " "), pages.Err()
		}},
		{"400", func() (string, error) {
			return chat(openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{}})
		}},
		{"404", func() (string, error) {
			return chat(openai.ChatCompletionNewParams{Model: "other", Messages: asked.Messages})
		}},
		{"retry", func() (string, error) {
			return waited(whole(option.WithHeader("X-Case", "retry"), option.WithMaxRetries(1)))
		}},
		{"time limit", whole(fault("close-before-status:how=hang"), option.WithRequestTimeout(time.Second))},
		{"time limit of a stream", streamed(fault("stall:event=2,seconds=20"), option.WithRequestTimeout(time.Second))},
		{"stream cancelled", func() (string, error) {
			stream := client.Chat.Completions.NewStreaming(background, asked, slow)
			if !stream.Next() {
				return "", stream.Err()
			}
			if busy, err := running(); err != nil || !busy {
				return "nothing runs", err
			}
			if err := stream.Close(); err != nil {
				return "", err
			}
			return released()
		}},
		{"call cancelled", func() (string, error) {
			return cancelled(func(ctx context.Context) error {
				_, err := client.Chat.Completions.New(ctx, asked, slow)
				return err
			})
		}},
		{"body cut", whole(fault("cut-after-events"))},
		{"stream cut", streamed(fault("cut-after-events:events=2"))},
		{"stream reset", streamed(fault("cut-after-events:events=2,how=reset"))},
		{"stream cut in JSON", streamed(fault("cut-in-json:event=2"))},
		{"error in the stream", streamed(fault("error-mid-stream:events=2"))},
		{"malformed event", streamed(fault("malformed-json:event=2"))},
		{"responses stream cut", respondedStream(fault("cut-after-events:events=2"))},
		{"responses stream failed", respondedStream(fault("error-mid-stream:events=2"))},
		{"closed", whole(fault("close-before-status"))},
		{"reset", whole(fault("close-before-status:how=reset"))},
	}
	for _, status := range []string{"401", "403", "409", "422", "429", "500", "503"} {
		cases = append(cases, playedCase{status, whole(fault("status:code=" + status))})
	}
	return cases, func(err error) int {
		if told := new(openai.Error); errors.As(err, &told) {
			return told.StatusCode
		}
		return 0
	}
}
