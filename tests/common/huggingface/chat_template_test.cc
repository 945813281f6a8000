#include "common/huggingface/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace chat_template_test {

using nlohmann::ordered_json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing::Throws;
using testing::ThrowsMessage;

constexpr std::chrono::sys_seconds kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 25);

ordered_json golden(const std::string& name) { return ordered_json::parse(read_file("golden/chat/" + name)); }

ChatTemplate template_of(const std::string& text, const std::string& variables = "{}") {
  return ChatTemplate({.name = "t.jinja", .text = text, .variables = variables}, kNow);
}

std::string render(const std::string& text, const std::string& messages = R"([{"role": "user", "content": "hi"}])") {
  return template_of(text).render({.messages = messages});
}

class GoldenChats : public testing::TestWithParam<const char*> {};

TEST_P(GoldenChats, AreRenderedAsTransformersDoes) {
  const ordered_json expected = golden("expected.json");
  const ChatTemplate chat_template =
      template_of(read_file(std::string("golden/chat/") + GetParam() + ".jinja"), expected["variables"].dump());
  for (const ordered_json& chat : golden("chats.json")) {
    const auto name = chat["name"].get<std::string>();
    const std::string messages = chat["messages"].dump();
    const std::string tools = chat.contains("tools") ? chat["tools"].dump() : "";
    const std::string variables = chat.contains("variables") ? chat["variables"].dump() : "";
    for (const bool prompt : {false, true}) {
      const ordered_json& text = expected["texts"][GetParam()][name][prompt ? 1 : 0];
      const Chat input{.messages = messages, .tools = tools, .variables = variables, .add_generation_prompt = prompt};
      if (text.is_null()) {
        EXPECT_THROW(chat_template.render(input), ChatRefused) << name;
      } else {
        EXPECT_EQ(chat_template.render(input), text.get<std::string>()) << name;
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Templates, GoldenChats, testing::Values("chatml", "headers", "inst", "language", "turns"),
                         [](const auto& name) { return std::string(name.param); });

// Filters, tests, functions, methods and statements one by one, and templates with the constructs of 35 model families.
TEST(ChatTemplate, PrintsWhatTransformersPrints) {
  for (const ordered_json& given : golden("expressions.json")) {
    const auto text = given["template"].get<std::string>();
    const std::string messages = given["messages"].dump(), variables = given["variables"].dump();
    const std::string tools = given["tools"].is_null() ? "" : given["tools"].dump();
    std::string rendered;
    const std::string refused = refusal_of([&] {
      rendered = template_of(text).render({.messages = messages,
                                           .tools = tools,
                                           .variables = variables,
                                           .add_generation_prompt = given["prompt"].get<bool>()});
    });
    if (given["text"].is_null()) {
      EXPECT_NE(refused, "accepted") << text << messages;
    } else {
      EXPECT_EQ(refused, "accepted") << text << messages;
      EXPECT_EQ(rendered, given["text"].get<std::string>()) << text << messages;
    }
  }
}

// Each would take more memory or time than there is.
// Python prints the shortest digits that give a float back, of those the nearest, and of two as near the even one.
TEST(ChatTemplate, PrintsFloatsOfTheDataAsPythonDoes) {
  std::mt19937_64 random(1);
  std::string variables = R"({"numbers": [0.09470803828730423, 1000000000000000.25, 1125899906842624.75)";
  std::vector<double> numbers = {0.09470803828730423, 1000000000000000.25, 1125899906842624.75};
  while (numbers.size() < 10000) {
    const double number = std::bit_cast<double>(random());
    if (!std::isfinite(number)) continue;
    numbers.push_back(number);
    std::array<char, 32> text{};
    variables += ", " + std::string(text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr);
  }
  std::istringstream printed(template_of("{% for n in numbers %}{{ n }} {% endfor %}", variables + "]}")
                                 .render({.messages = R"([{"role": "user", "content": "hi"}])"}));
  std::string text;
  for (const double number : numbers) {
    ASSERT_TRUE(printed >> text);
    double read = 0;
    std::from_chars(text.data(), text.data() + text.size(), read);
    EXPECT_EQ(read, number) << text;
  }
  EXPECT_EQ(
      render("{{ 0.09470803828730423 }} {{ 1000000000000000.25 }} {{ 1e15 + 0.3 }} {{ 1125899906842624.75 }} "
             "{{ 5e-324 }} {{ -0.0 }} {{ 100.0 }} {{ 1e22 }} {{ 123456789012345680.0 }} {{ 0.0001 }} {{ 0.00001 }}"),
      "0.09470803828730423 1000000000000000.2 1000000000000000.2 1125899906842624.8 "
      "5e-324 -0.0 100.0 1e+22 1.2345678901234568e+17 0.0001 1e-05");
}

TEST(ChatTemplate, PaysForWidthsBeforeTheyAreMade) {
  for (const std::string text :
       {"'a'.center(999999999)", "'{:999999999}'.format(1)", "'a'|indent(9999999999)", "'%.99999f' % 1",
        "2 ** 99999999", "'a'.zfill(9999999999999)", "[1]|batch(999999999, 0)|list", "[1]|slice(999999999)|list",
        "10 ** 5000", "['x' * 10000] * 99999999", "'%*d' % (999999999, 1)", "'a'|center(99999999)",
        "'\\t'.expandtabs(999999999)"}) {
    EXPECT_THROW(render("{{ " + text + " }}"), ChatRefused) << text;
  }
}

TEST(ChatTemplate, TakesEveryLinesEnd) { EXPECT_EQ(render("{% if true %}\r\na\r\nb\rc\r\n{% endif %}"), "a\nb\nc\n"); }

TEST(ChatTemplate, JoinsTwoListsOfMessages) {
  const ChatTemplate all = template_of("{% for m in messages %}{{ m.content }};{% endfor %}");
  EXPECT_EQ(all.render({.messages = R"([{"content": "a"}])", .more_messages = R"([{"content": "b"}])"}), "a;b;");
}

TEST(ChatTemplate, RendersManyChatsOnManyThreadsInOrder) {
  const ChatTemplate one = template_of("{{ n }}");
  std::vector<std::string> variables;
  for (int i = 0; i < 500; ++i) variables.push_back("{\"n\": " + std::to_string(i) + "}");
  std::vector<Chat> chats;
  for (const std::string& text : variables) chats.push_back({.messages = "[]", .variables = text});
  for (const int threads : {1, 2, 7}) {
    const auto texts = one.render(chats, threads);
    ASSERT_EQ(texts.size(), chats.size());
    for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(texts[i], std::to_string(i));
  }
}

TEST(ChatTemplate, NamesTheChatThatItRefuses) {
  const ChatTemplate picky = template_of("{% if n == 3 %}{{ raise_exception('no\nthree') }}{% endif %}");
  std::vector<std::string> variables;
  for (int i = 0; i < 5; ++i) variables.push_back("{\"n\": " + std::to_string(i) + "}");
  std::vector<Chat> chats;
  for (const std::string& text : variables) chats.push_back({.messages = "[]", .variables = text});
  try {
    picky.render(chats, 2);
    FAIL() << "was rendered";
  } catch (const ChatRefused& refused) {
    EXPECT_EQ(refused.chat(), 3U);
    EXPECT_STREQ(refused.what(), "line 1: no three");
  }
}

TEST(ChatTemplate, FaultsAreOneLineWithTheFileAndItsLine) {
  EXPECT_THAT(
      [] { template_of("a\nb\n{% if %}"); },
      ThrowsMessage<std::invalid_argument>(AllOf(StartsWith("t.jinja: line 3: syntax error"), Not(HasSubstr("\n")))));
  EXPECT_THAT([] { render("a\n{{ x.y.z }}"); }, ThrowsMessage<ChatRefused>(StartsWith("line 2: 'x' is undefined")));
  EXPECT_THAT([] { render("{{ messages|nope }}"); }, ThrowsMessage<ChatRefused>(HasSubstr("nope")));
  EXPECT_THAT([] { render("{{ 'a' + 1 }}"); }, ThrowsMessage<ChatRefused>(StartsWith("line 1: ")));
  EXPECT_THAT([] { render("{{ x|tojson }}"); },
              ThrowsMessage<ChatRefused>(HasSubstr("tojson of a value that is undefined")));
  EXPECT_THAT([] { render("x", "[{"); }, ThrowsMessage<ChatRefused>(StartsWith("the messages: ")));
  EXPECT_THAT([] { template_of("a\xff"); }, ThrowsMessage<std::invalid_argument>(HasSubstr("UTF-8")));
  EXPECT_THAT([] { template_of(std::string(300'000, 'a')); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("300000 bytes")));
}

TEST(ChatTemplate, ShowsTheTimeItIsGiven) {
  EXPECT_THAT(render("{{ strftime_now('%Y') }}"), testing::AnyOf("2026", "2025"));
  EXPECT_THAT([] { render("{{ strftime_now('%1000000000d') }}"); },
              ThrowsMessage<ChatRefused>(HasSubstr("gives no date")));
}

TEST(ChatTemplate, HasNoWayOut) {
  EXPECT_THROW(render("{% include '/etc/passwd' %}"), std::invalid_argument);
  EXPECT_THROW(render("{% import 'x' as x %}"), std::invalid_argument);
  EXPECT_THROW(render("{{ ''.__class__.__mro__ }}"), ChatRefused);
}

// Each of these once took all memory, all stack or all time of an engine without limits.
TEST(ChatTemplate, EndsWhatWouldNotEnd) {
  const std::string loops = "{% for i in range(90000) %}{% for j in range(90000) %}{% for k in range(90000) %}";
  EXPECT_THAT([&] { render(loops + "x{% endfor %}{% endfor %}{% endfor %}"); },
              ThrowsMessage<ChatRefused>(HasSubstr("more work than a chat template may")));
  const std::string grow = "{% set ns = namespace(x='a') %}{% for i in range(90000) %}{% set ns.x = ";
  EXPECT_THROW(render(grow + "ns.x ~ ns.x %}{% endfor %}"), ChatRefused);
  EXPECT_THROW(render(grow + "[ns.x, ns.x] %}{% endfor %}{{ ns.x }}"), ChatRefused);
  EXPECT_THROW(render(grow + "[ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}"), ChatRefused);
  EXPECT_THROW(render("{{ 'a' * 99999999 }}"), ChatRefused);
  EXPECT_THROW(render("{{ ('a' * 100).replace('', 'b' * 1000000) }}"), ChatRefused);
  EXPECT_THROW(render("{{ '%99999999d'|format(1) }}"), ChatRefused);
  EXPECT_THROW(render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), ChatRefused);
}

// Fuel that a long conversation has is more than memory. The memory stays lost: its thread stands still where it wanted
// more.
TEST(ChatTemplate, StopsWhatTakesAllMemory) {
  const std::string text(1 << 20, 'x'), twice = "{{ ('a' * 100000000) ~ ('a' * 100000000) }}";
  const std::string messages = R"([{"role": "user", "content": ")" + text + R"("}])";
  EXPECT_THAT([&] { render(twice, messages); },
              ThrowsMessage<ChatRefused>(HasSubstr("takes more than 128 MiB of memory")));
  const ChatTemplate picky = template_of("{% if n == 37 %}" + twice + "{% endif %}");
  std::vector<std::string> variables;
  for (int i = 0; i < 100; ++i) variables.push_back("{\"n\": " + std::to_string(i) + "}");
  std::vector<Chat> chats;
  for (const std::string& each : variables) chats.push_back({.messages = messages, .variables = each});
  EXPECT_THAT([&] { picky.render(chats, 2); }, Throws<ChatRefused>(testing::Property(&ChatRefused::chat, 37)));
}

TEST(ChatTemplate, DeepValuesFitTheStack) {
  const std::string nest = "{% set ns = namespace(x=1, y=1) %}{% for i in range(8000) %}{% set ns.x = ";
  for (const std::string value : {"[ns.x]", "{'a': ns.x}", "(ns.x, 1)"}) {
    for (const std::string use : {"{{ ns.x|length }}", "{{ ns.x == ns.x }}", "{{ (ns.x|string)|length }}"}) {
      EXPECT_NO_THROW(render(nest + value + " %}{% endfor %}" + use)) << value << use;
    }
  }
  EXPECT_THAT([&] { render(nest + "[ns.x] %}{% endfor %}{{ ns.x|tojson }}"); },
              ThrowsMessage<ChatRefused>(HasSubstr("tojson of more than 128 levels")));
}

TEST(ChatTemplate, DeepSourcesFitTheStack) {
  const auto repeat = [](const std::string& text, int times) {
    std::string result;
    for (int i = 0; i < times; ++i) result += text;
    return result;
  };
  EXPECT_THROW(render("{{ 1" + repeat(".a", 120'000) + " }}"), ChatRefused);
  EXPECT_THROW(render("{{ 1" + repeat("|a", 120'000) + " }}"), ChatRefused);
  EXPECT_EQ(render("{{ 1" + repeat("+1", 120'000) + " }}"), "120001");
  EXPECT_EQ(render("{{ 1" + repeat(" if 1", 40'000) + " }}"), "1");
  EXPECT_EQ(render("{% if 0 %}" + repeat("{% elif 0 %}", 20'000) + "{% endif %}"), "");
  EXPECT_THROW(render("{{ " + repeat("(", 100'000) + "1" + repeat(")", 100'000) + " }}"), std::invalid_argument);
  EXPECT_THROW(render(repeat("{% if 1 %}", 20'000)), std::invalid_argument);
  EXPECT_EQ(render("{{ " + repeat("not ", 50'000) + "1 }}"), "True");
  EXPECT_THROW(render("x", repeat("[", 100'000)), ChatRefused);
}

}  // namespace chat_template_test
}  // namespace equipoise
