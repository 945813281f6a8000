// Pairs that are messages, from a model folder's chat template to token ids.
#include "worker/data/chat_templates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/config/job_config.h"
#include "tests/support/temp_folder.h"
#include "tests/worker/support/owned_pair.h"
#include "worker/data/encoded_dataset.h"

namespace equipoise {
namespace chat_templates_test {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

constexpr auto kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 25) + std::chrono::hours(15);

// A turn a line, with the special tokens of gemma's tokenizer.
constexpr char kTemplate[] =
    "{{ bos_token }}{% for m in messages %}{{ m.role }}\n{{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant\n{% endif %}";

class ChatPairs : public testing::Test {
 protected:
  ChatPairs() {
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
      fs::copy(fs::path("golden/lm/models/gemma/policy") / name, folder_ / name);
    }
  }

  std::optional<ChatTemplates> templates(std::optional<fs::path> file = {}) {
    return ChatTemplates::load(TemplateChoice({.model = folder_.path()}), file, kNow);
  }

  EncodedDataset encode(const std::string& lines, EncodeSettings settings = {}) {
    const auto loaded = templates();
    if (loaded) settings.chat_templates = &*loaded;
    const fs::path file = folder_.write("pairs.jsonl", lines);
    return encode_pairs(read_preference_file(file, Rejected::kRequired), tokenizer_, settings, 2);
  }

  Ids ids(const std::string& text) const { return tokenizer_.tokenizer.encode(text, SpecialTokens::kOmit); }

  TempFolder folder_;
  const ModelTokenizer tokenizer_ = load_model_tokenizer("golden/lm/models/gemma/policy");
};

constexpr char kLine[] =
    R"({"prompt": [{"role": "user", "content": "Is tea good?"}], "chosen": [{"role": "assistant", "content": "Yes"}], )"
    R"("rejected": [{"role": "assistant", "content": "No"}], "group": "g"})";

// What a template like Qwen's with <think></think> does: the generation prompt is not what answers are rendered with.
TEST_F(ChatPairs, CountAGenerationPromptThatAnswersDoNotHave) {
  folder_.write("chat_template.jinja", kTemplate);
  EXPECT_EQ(encode(kLine).num_merged_prompts, 0);
  folder_.write("chat_template.jinja",
                "{% for m in messages %}{{ m.role }}\n{{ m.content }}{{ eos_token }}{% endfor %}"
                "{% if add_generation_prompt %}assistant\n<think></think>{% endif %}");
  const EncodedDataset merged = encode(kLine);
  EXPECT_EQ(merged.num_merged_prompts, 1);
  EXPECT_EQ(merged.merged_prompt_count_K, (std::vector<std::int64_t>{1}));
}

TEST_F(ChatPairs, CountAPromptThatIsRepeatedInsideTheAnswers) {
  folder_.write("chat_template.jinja", kTemplate);
  EXPECT_EQ(encode(kLine).num_repeated_prompts, 0);
  const std::string system = R"({"role": "system", "content": "Be brief."})";
  const std::string user = R"({"role": "user", "content": "Is tea good?"})";
  const auto line = [](const std::string& prompt, const std::string& again) {
    return R"({"prompt": [)" + prompt + R"(], "chosen": [)" + again +
           R"({"role": "assistant", "content": "Yes"}], "rejected": [)" + again +
           R"({"role": "assistant", "content": "No"}], "group": "g"})";
  };
  EXPECT_EQ(encode(line(user, user + ", ")).num_repeated_prompts, 1);
  EXPECT_EQ(encode(line(system + ", " + user, system + ", " + user + ", ")).num_repeated_prompts, 1);
  EXPECT_EQ(encode(line(system + ", " + user, user + ", ")).num_repeated_prompts, 1);
  EXPECT_EQ(encode(line(system + ", " + user, system + ", ")).num_repeated_prompts, 0);
  const std::string other = R"({"role": "user", "content": "And coffee?"})";
  const std::string twice = user + ", " + user;
  EXPECT_EQ(encode(line(user + ", " + other + ", " + user, user + ", " + other + ", ")).num_repeated_prompts, 1);
  EXPECT_EQ(encode(line(twice + ", " + other, twice + ", ")).num_repeated_prompts, 0);
  EXPECT_EQ(encode(line(twice + ", " + twice, twice + ", " + user + ", ")).num_repeated_prompts, 1);
}

TEST_F(ChatPairs, AreTheTokensOfTheRenderedTexts) {
  folder_.write("chat_template.jinja", kTemplate);
  const OwnedPair pair = owned(encode(kLine).pair(0));
  EXPECT_EQ(pair.prompt_ids, ids("<bos>user\nIs tea good?<eos>assistant\n"));
  Ids chosen = pair.prompt_ids;
  chosen.insert(chosen.end(), pair.chosen_ids.begin(), pair.chosen_ids.end());
  EXPECT_EQ(chosen, ids("<bos>user\nIs tea good?<eos>assistant\nYes<eos>"));
  Ids rejected = pair.prompt_ids;
  rejected.insert(rejected.end(), pair.rejected_ids.begin(), pair.rejected_ids.end());
  EXPECT_EQ(rejected, ids("<bos>user\nIs tea good?<eos>assistant\nNo<eos>"));
}

TEST_F(ChatPairs, MayStandBetweenTexts) {
  folder_.write("chat_template.jinja", kTemplate);
  const std::string text = R"({"prompt": "Is it?", "chosen": "Yes", "rejected": "No", "group": "g"})";
  const EncodedDataset encoded = encode(text + "\n" + kLine + "\n" + text);
  ASSERT_EQ(encoded.pairs.size(), 3U);
  const std::vector<OwnedPair> pairs = owned(encoded.pairs);
  EXPECT_EQ(pairs[0].prompt_ids, pairs[2].prompt_ids);
  EXPECT_NE(pairs[0].prompt_ids, pairs[1].prompt_ids);
}

TEST_F(ChatPairs, AreRefusedWithoutATemplate) {
  EXPECT_THAT([&] { encode(std::string("\n") + kLine); },
              ThrowsMessage<std::invalid_argument>(
                  HasSubstr("pairs.jsonl:2: holds messages, but the model has no chat template; model.chat_template")));
}

TEST_F(ChatPairs, AreRefusedByTheAuthorsTokenisation) {
  folder_.write("chat_template.jinja", kTemplate);
  EXPECT_THAT([&] { encode(kLine, {.tokenization = Tokenization::kAuthors}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("expected texts with data.tokenization authors")));
}

TEST_F(ChatPairs, NameTheLineThatATemplateRefuses) {
  folder_.write(
      "chat_template.jinja",
      "{% for m in messages %}\n{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}{% endfor %}x");
  const std::string tool =
      R"({"prompt": [{"role": "user", "content": "a"}], "chosen": [{"role": "tool", "content": "b"}], )"
      R"("rejected": [{"role": "assistant", "content": "c"}]})";
  const std::string good =
      R"({"prompt": [{"role": "user", "content": "a"}], "chosen": [{"role": "assistant", "content": "b"}], )"
      R"("rejected": [{"role": "assistant", "content": "c"}]})";
  EXPECT_THAT([&] { encode(good + "\n" + tool + "\n" + tool); },
              ThrowsMessage<std::invalid_argument>(
                  HasSubstr("pairs.jsonl:2: the chat template refuses the messages: line 2: no tools")));
}

std::string shown(const std::optional<ChatTemplates>& templates, bool has_tools = false) {
  const ChatTemplate* const chosen = templates.value().for_chat(has_tools);
  return chosen == nullptr ? "none" : chosen->render({.messages = R"([{"role": "user", "content": "hi"}])"});
}

TEST_F(ChatPairs, TakeTheTemplateThatIsNearest) {
  EXPECT_FALSE(templates());
  folder_.write("tokenizer_config.json",
                R"({"bos_token": {"content": "<b>"}, "chat_template": "config {{ bos_token }}"})");
  folder_.write("special_tokens_map.json", R"({"bos_token": "<other>", "pad_token": "<p>"})");
  EXPECT_EQ(shown(templates()), "config <b>");
  folder_.write("chat_template.jinja", "file {{ pad_token }}{{ eos_token is defined }}");
  EXPECT_EQ(shown(templates()), "file <p>False");
  EXPECT_EQ(shown(templates(folder_.write("own.jinja", "own"))), "own");
}

// An adapter is used with what it was trained with, which its tokenizer_config.json may hold.
TEST_F(ChatPairs, TakeTheTemplateOfTheAdapterWhereItHasOne) {
  folder_.write("tokenizer_config.json", R"({"bos_token": "<b>", "chat_template": "model"})");
  fs::create_directory(folder_ / "adapter");
  const TemplateFolders folders{.model = folder_.path(), .adapter = folder_ / "adapter"};
  const auto used = [&] { return shown(ChatTemplates::load(TemplateChoice(folders), {}, kNow)); };
  const auto note_of = [&] { return TemplateChoice(folders).note(); };
  folder_.write("adapter/tokenizer_config.json", R"({"bos_token": "<other>", "chat_template": null})");
  EXPECT_EQ(used(), "model");
  EXPECT_EQ(note_of(), "");
  folder_.write("adapter/tokenizer_config.json", R"({"chat_template": "model"})");
  EXPECT_EQ(note_of(), "");
  folder_.write("adapter/tokenizer_config.json",
                R"({"bos_token": "<other>", "chat_template": "config {{ bos_token }}"})");
  EXPECT_EQ(used(), "config <b>");
  folder_.write("adapter/chat_template.jinja", "file");
  EXPECT_EQ(used(), "file");
  const std::string note = note_of();
  EXPECT_NE(note.find("the one of the adapter in " + (folder_ / "adapter").string()), std::string::npos) << note;
  EXPECT_EQ(shown(ChatTemplates::load(TemplateChoice(folders), folder_.write("own.jinja", "own"), kNow)), "own");
  // What was read stays, whatever becomes of the file.
  const TemplateChoice choice(folders);
  fs::remove(folder_ / "adapter/chat_template.jinja");
  EXPECT_EQ(shown(ChatTemplates::load(choice, {}, kNow)), "file");
}

TEST_F(ChatPairs, HaveATemplateOfTheirOwnForTools) {
  folder_.write("tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "plain"},
      {"name": "tool_use", "template": "tools"}, {"name": "rag", "template": "{{"}]})");
  EXPECT_EQ(shown(templates()), "plain");
  EXPECT_EQ(shown(templates(), true), "tools");
}

// As transformers 5.24 reads a folder: files of templates, whichever there are, come before tokenizer_config.json.
TEST_F(ChatPairs, TakeOtherTemplatesOfAFolderWithoutADefault) {
  folder_.write("tokenizer_config.json", R"({"chat_template": "config"})");
  std::filesystem::create_directory(folder_.path() / "additional_chat_templates");
  folder_.write("additional_chat_templates/tool_use.jinja", "tools");
  EXPECT_EQ(shown(templates(), true), "tools");
  EXPECT_EQ(shown(templates()), "none");
  EXPECT_THAT(
      [&] {
        encode(R"({"prompt": [{"role": "user", "content": "a"}], )"
               R"("chosen": [{"role": "assistant", "content": "b"}], )"
               R"("rejected": [{"role": "assistant", "content": "c"}]})");
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("pairs.jsonl:1: holds messages without tools, but the "
                                                     "model has a chat template named \"tool_use\" alone")));
  folder_.write("chat_template.jinja", "plain");
  EXPECT_EQ(shown(templates()), "plain");
  EXPECT_EQ(shown(templates(), true), "tools");
}

TEST_F(ChatPairs, SeeTheDayOfTheJobAndNoFinerTime) {
  folder_.write("chat_template.jinja", "{{ strftime_now('%d %b %Y %H:%M:%S') }}");
  EXPECT_THAT(shown(templates()), testing::MatchesRegex("2[456] Nov 2026 00:00:00"));
}

TEST_F(ChatPairs, NameTheFileOfATemplateThatIsWrong) {
  const auto refusal = [&](const std::string& what) { return ThrowsMessage<std::invalid_argument>(HasSubstr(what)); };
  folder_.write("tokenizer_config.json", R"({"chat_template": "a\n{% if %}"})");
  EXPECT_THAT([&] { templates(); }, refusal("tokenizer_config.json: chat_template: line 2: "));
  folder_.write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "x"}]})");
  EXPECT_THAT([&] { templates(); }, refusal(R"(chat_template has no template named "default" or "tool_use")"));
  folder_.write("tokenizer_config.json", R"({"chat_template": 3})");
  EXPECT_THAT([&] { templates(); }, refusal(R"(chat_template is "3", expected a template's text)"));
  EXPECT_THAT([&] { templates(folder_.path() / "none.jinja"); }, refusal("none.jinja: there is no such file"));
}

}  // namespace chat_templates_test
}  // namespace equipoise
