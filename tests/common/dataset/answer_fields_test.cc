// Messages instead of texts, and prompts that are what both answers begin with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/data/preference_writer.h"
#include "common/dataset/common_prompt.h"
#include "common/dataset/preference_pair.h"
#include "tests/support/preference_lines.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace answer_fields_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

class Conversation : public testing::Test {
 protected:
  PreferenceData read(const std::string& text, Rejected rejected = Rejected::kRequired) {
    return read_preference_file(folder_.write("pairs.jsonl", text), rejected);
  }
  PreferencePair read_one(const std::string& line, Rejected rejected = Rejected::kRequired) {
    return read(line, rejected).pairs.at(0);
  }
  std::string refusal(const std::string& line, Rejected rejected = Rejected::kRequired) {
    try {
      read(line, rejected);
    } catch (const std::invalid_argument& problem) {
      const std::string text = problem.what();
      return text.substr(text.find("pairs.jsonl") + 15);
    }
    return "";
  }

  TempFolder folder_;
};

constexpr char kSky[] = R"([{"role":"user","content":"What color is the sky?"}])";
constexpr char kBlue[] = R"([{"role":"assistant","content":"It is blue."}])";
constexpr char kGreen[] = R"([{"role":"assistant","content":"It is green."}])";

std::string line_of(const std::string& fields) { return "{" + fields + "}\n"; }

TEST_F(Conversation, KeepsMessagesAsJsonInTheOrderOfTheirKeys) {
  const PreferencePair pair =
      read_one(line_of(R"("prompt": [{"role": "user", "content": "é", "z": 1.0, "a": [1, null]}], "chosen": )" +
                       std::string(kBlue) + R"(, "rejected": )" + kGreen + R"(, "group": "g")"));
  EXPECT_EQ(pair.form, AnswerForm::kMessages);
  EXPECT_EQ(pair.prompt, R"([{"role":"user","content":"é","z":1.0,"a":[1,null]}])");
  EXPECT_EQ(pair.chosen, kBlue);
  EXPECT_EQ(pair.rejected, kGreen);
  EXPECT_EQ(pair.line, 1);
}

// The example of TRL's extract_prompt.
TEST_F(Conversation, TakesWhatBothAnswersBeginWithAsThePrompt) {
  const PreferencePair pair = read_one(line_of(
      R"("chosen": [{"role": "user", "content": "What color is the sky?"}, {"role": "assistant", "content": "It is blue."}],)"
      R"("rejected": [{"content": "What color is the sky?", "role": "user"}, {"role": "assistant", "content": "It is green."}])"));
  EXPECT_EQ(pair.prompt, kSky);
  EXPECT_EQ(pair.chosen, kBlue);
  EXPECT_EQ(pair.rejected, kGreen);
}

// Data sets give the prompt as text next to conversations that hold it.
TEST_F(Conversation, PassesOverAPromptThatIsTextNextToMessages) {
  const std::string both = R"({"role": "user", "content": "What color is the sky?"})";
  const PreferencePair pair = read_one(line_of(R"("prompt": "What color is the sky?", "chosen": [)" + both +
                                               R"(, {"role": "assistant", "content": "It is blue."}], "rejected": [)" +
                                               both + R"(, {"role": "assistant", "content": "It is green."}])"));
  EXPECT_EQ(pair.prompt, kSky);
  EXPECT_EQ(pair.chosen, kBlue);
}

TEST_F(Conversation, EachAnswerKeepsAMessage) {
  const std::string same = R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])";
  const PreferencePair pair = read_one(line_of(R"("chosen": )" + same + R"(, "rejected": )" + same));
  EXPECT_EQ(pair.prompt, R"([{"role":"user","content":"a"}])");
  EXPECT_EQ(pair.chosen, pair.rejected);
}

TEST_F(Conversation, ReadsToolsAndVariablesOfTheTemplate) {
  const std::string answers =
      R"("prompt": )" + std::string(kSky) + R"(, "chosen": )" + kBlue + R"(, "rejected": )" + kGreen;
  const PreferencePair list = read_one(
      line_of(answers + R"(, "tools": [{"type": "function"}], "chat_template_kwargs": {"enable_thinking": false})"));
  EXPECT_EQ(list.tools, R"([{"type":"function"}])");
  EXPECT_EQ(list.template_variables, R"({"enable_thinking":false})");
  EXPECT_EQ(read_one(line_of(answers + R"(, "tools": "[{\"type\": \"function\"}]")")).tools, list.tools);
  EXPECT_EQ(read_one(line_of(answers + R"(, "tools": null)")).tools, "");
}

TEST_F(Conversation, OneAnswerIsEnoughWhereRejectedIsOptional) {
  const PreferencePair pair =
      read_one(line_of(R"("prompt": )" + std::string(kSky) + R"(, "chosen": )" + kBlue), Rejected::kOptional);
  EXPECT_EQ(pair.rejected, "");
  EXPECT_EQ(refusal(line_of(R"("chosen": )" + std::string(kBlue)), Rejected::kOptional),
            R"(field "prompt" is missing, expected a list of messages {"role": ..., "content": ...})");
}

TEST_F(Conversation, NamesWhatIsWrong) {
  const std::string answers = R"("chosen": )" + std::string(kBlue) + R"(, "rejected": )" + kGreen;
  EXPECT_THAT(refusal(line_of(answers)), HasSubstr("begins with another message"));
  EXPECT_THAT(refusal(line_of(R"("prompt": [], )" + answers)), HasSubstr(R"(field "prompt" is an empty list)"));
  EXPECT_THAT(refusal(line_of(R"("prompt": 1, )" + answers)), HasSubstr(R"(field "prompt" is a number)"));
  EXPECT_THAT(refusal(line_of(R"("prompt": [{"content": "a"}], )" + answers)),
              HasSubstr(R"(a message that has no "role", but "content", expected)"));
  EXPECT_THAT(refusal(line_of(R"("prompt": [{"role": 1, "content": "a"}], )" + answers)),
              HasSubstr(R"(whose "role" is no text)"));
  EXPECT_THAT(refusal(line_of(R"("prompt": [{"from": "human", "value": "a"}], )" + answers)),
              HasSubstr(R"(no "role", but "from", "value", expected a list of messages {"role": ..., "content": ...}: )"
                        R"(rename ShareGPT's "from" to "role")"));
  EXPECT_THAT(refusal(line_of(R"("chosen": )" + std::string(kBlue) + R"(, "rejected": "r")")),
              HasSubstr(R"(field "rejected" is "r", expected a list of messages)"));
  EXPECT_THAT(refusal(line_of(R"("prompt": "p", "chosen": "c", "rejected": )" + std::string(kGreen))),
              HasSubstr(R"(field "rejected" is a list, expected text)"));
  EXPECT_THAT(refusal(line_of(R"("prompt": )" + std::string(kSky) + ", " + answers + R"(, "tools": "x")")),
              HasSubstr(R"(field "tools" is "x", expected a list of tools)"));
  EXPECT_THAT(refusal(line_of(R"("prompt": )" + std::string(kSky) + ", " + answers + R"(, "chat_template_kwargs": 1)")),
              HasSubstr(R"(field "chat_template_kwargs" is a number, expected an object)"));
  // One message is no list of one; where the prompt is a list, it is the answers that are wrong.
  const std::string prompt = R"("prompt": )" + std::string(kSky) + ", ",
                    one = R"({"role": "assistant", "content": "c"})";
  EXPECT_EQ(refusal(line_of(prompt + R"("chosen": )" + one + R"(, "rejected": )" + one)),
            R"(field "chosen" is an object, not in a list, expected a list of messages {"role": ..., "content": ...})");
  EXPECT_THAT(refusal(line_of(R"("prompt": "p", "chosen": "c", "rejected": )" + one)),
              HasSubstr(R"(field "rejected" is an object, not in a list)"));
  EXPECT_THAT(refusal(line_of(R"("prompt": )" + one + ", " + answers)), HasSubstr(R"(field "prompt" is an object)"));
  EXPECT_THAT(refusal(line_of(prompt + R"("chosen": "c", "rejected": "r")")),
              HasSubstr(R"(field "chosen" is "c", expected a list of messages)"));
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  EXPECT_THAT(refusal(line_of(R"("prompt": [{"role": "user", "content": )" + deep + "}], " + answers)),
              HasSubstr("nested more than 64 levels deep"));
}

// A mistyped key, or null, once made an empty text.
TEST_F(Conversation, RefusesAMessageWithoutContentAndToolCalls) {
  const auto said = [&](const std::string& message) {
    return refusal(line_of(R"("prompt": )" + std::string(kSky) + R"(, "chosen": [{"role": "assistant")" + message +
                           R"(}], "rejected": )" + kGreen));
  };
  EXPECT_EQ(said(R"(, "contents": "good")"),
            R"(field "chosen" is a list with a message that has neither "content" nor "tool_calls", but "role", )"
            R"("contents", expected a list of messages {"role": ..., "content": ...})");
  EXPECT_THAT(said(R"(, "content": null)"), HasSubstr(R"(nor "tool_calls", but "role", "content" (null), expected)"));
  EXPECT_THAT(said(""), HasSubstr(R"(nor "tool_calls", but "role", expected)"));
  EXPECT_EQ(said(R"(, "content": "")"), "");
  EXPECT_EQ(said(R"(, "content": null, "tool_calls": [{"function": {"name": "f"}}])"), "");
  EXPECT_EQ(said(R"(, "tool_calls": [{"function": {"name": "f"}}])"), "");
}

// CSV has lists as their JSON or their repr(), which was trained on letter by letter.
TEST_F(Conversation, RefusesAListOfMessagesAsText) {
  const auto said = [&](const std::string& chosen) {
    return refusal(line_of(R"("prompt": "p", "rejected": "r", "chosen": ")" + chosen + '"'));
  };
  EXPECT_EQ(said(R"([{\"role\": \"assistant\", \"content\": \"x\"}])"),
            R"(field "chosen" is a text that holds a list of messages, expected the list itself: make it one with )"
            "json.loads() and write the data again");
  EXPECT_THAT(
      said(R"([{'role': 'assistant', 'content': 'x'}])"),
      HasSubstr("holds a Python list of messages, expected the list itself: make it one with ast.literal_eval"));
  EXPECT_THAT(said(R"([{'content': 'x', 'role': 'assistant'}])"), HasSubstr("holds a Python list of messages"));
  for (const std::string text :
       {R"([{\"name\": \"x\"}])", R"([{\"role\": \"x\"}, 1])", "[{role", "[{'content': 'x'}]", "[]"}) {
    EXPECT_EQ(said(text), "") << text;
  }
}

// A prompt of another name would otherwise become what the answers happen to share.
TEST_F(Conversation, AllLinesHaveAPromptOrNone) {
  const std::string with = R"({"prompt": "p", "chosen": "c", "rejected": "r"})";
  const std::string without = R"({"question": "p", "chosen": "c", "rejected": "r"})";
  EXPECT_EQ(refusal(with + "\n" + without),
            R"(field "prompt" is missing, but not on line 1, expected all lines to have one or none)");
  EXPECT_EQ(refusal(without + "\n\n" + with),
            R"(field "prompt" is there, but not on line 1, expected all lines to have one or none)");
}

TEST_F(Conversation, IsWrittenAsItIsRead) {
  const PreferenceData data =
      read(line_of(R"("prompt": [{"role": "user", "content": "é", "z": 1.0}], "chosen": )" + std::string(kBlue) +
                   R"(, "rejected": )" + kGreen +
                   R"(, "tools": [{"b": 1, "a": 2}], "chat_template_kwargs": {"x": null}, "group": "g")"));
  write_preference_file(data, folder_.path() / "again.jsonl");
  const PreferencePair again = read_preference_file(folder_.path() / "again.jsonl", Rejected::kRequired).pairs.at(0);
  const PreferencePair& pair = data.pairs.at(0);
  EXPECT_EQ(again.form, pair.form);
  EXPECT_EQ(again.prompt, pair.prompt);
  EXPECT_EQ(again.chosen, pair.chosen);
  EXPECT_EQ(again.rejected, pair.rejected);
  EXPECT_EQ(again.tools, pair.tools);
  EXPECT_EQ(again.template_variables, pair.template_variables);
}

struct TextPair {
  const char *chosen, *rejected, *prompt;
};

class CommonPrompt : public testing::TestWithParam<TextPair> {};

// What TRL's extract_prompt gives, but for its last case: there it takes the place before the first for the last one.
TEST_P(CommonPrompt, IsTheLongestCommonBeginningOfTwoTexts) {
  const auto& [chosen, rejected, prompt] = GetParam();
  EXPECT_EQ(std::string_view(chosen).substr(0, common_prompt(chosen, rejected)), prompt);
}
INSTANTIATE_TEST_SUITE_P(Texts, CommonPrompt,
                         testing::Values(TextPair{"The sky is blue.", "The sky is green.", "The sky is"},
                                         TextPair{"The sky is blue.", "The sky is black.", "The sky is bl"},
                                         TextPair{"ab", "abcd", "a"}, TextPair{"ab", "ab", "a"},
                                         TextPair{"xé", "xè", "x"}, TextPair{"xé", "xéy", "x"}, TextPair{"a", "b", ""},
                                         TextPair{"", "b", ""}, TextPair{"a ", "b ", ""}));

TEST_F(Conversation, TextsWithoutAPromptAreSplitToo) {
  const PreferencePair pair = read_one(R"({"chosen": "The sky is blue.", "rejected": "The sky is green."})");
  EXPECT_EQ(pair.form, AnswerForm::kText);
  EXPECT_EQ(pair.prompt, "The sky is");
  EXPECT_EQ(pair.chosen, " blue.");
  EXPECT_EQ(pair.rejected, " green.");
}

}  // namespace answer_fields_test
}  // namespace equipoise
