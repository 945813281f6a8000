#include "common/dataset/answer_fields.h"

#include <algorithm>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/base/message_text.h"
#include "common/dataset/common_prompt.h"
#include "common/dataset/json_field.h"

namespace equipoise {
namespace {

namespace dom = simdjson::dom;

// Deeper than any message; whoever reads the JSON again recurses.
constexpr int kDeepest = 64;

constexpr std::string_view kMessageList = R"(a list of messages {"role": ..., "content": ...})";

bool is_shallow(const dom::element& value, int levels_left) {
  if (levels_left == 0) return false;
  if (value.is_array()) {
    for (const dom::element& item : dom::array(value)) {
      if (!is_shallow(item, levels_left - 1)) return false;
    }
  } else if (value.is_object()) {
    for (const auto& [key, item] : dom::object(value)) {
      if (!is_shallow(item, levels_left - 1)) return false;
    }
  }
  return true;
}

// As compact JSON, keys in their order.
std::string json_of(std::string_view field, const dom::element& value) {
  if (!is_shallow(value, kDeepest)) refuse_value(field, "nested more than 64 levels deep", "a value of fewer levels");
  std::string json = simdjson::minify(value);
  if (!is_utf8(json)) refuse_half_surrogate(field, json);
  return json;
}

// The JSON of messages [begin, end) of a list.
class MessageList {
 public:
  MessageList(std::string_view field, const dom::element& value) : field_(field) {
    if (value.get_array().get(array_) != simdjson::SUCCESS) refuse_value(field, found_text(value), kMessageList);
    if (array_.size() == 0) refuse_value(field, "an empty list", kMessageList);
    for (const dom::element& message : array_) check_message(message);
  }

  const dom::array& array() const { return array_; }

  std::string json(std::size_t begin, std::size_t end) const {
    std::string json = "[";
    std::size_t place = 0;
    for (const dom::element& message : array_) {
      if (place >= begin && place < end) {
        if (json.size() > 1) json += ",";
        json += json_of(field_, message);
      }
      ++place;
    }
    return json + "]";
  }
  std::string json() const { return json(0, array_.size()); }

 private:
  void check_message(const dom::element& message) const {
    dom::element role;
    if (!message.is_object()) refuse_value(field_, "a list with " + found_text(message), kMessageList);
    if (is_absent(message, "role")) refuse_without_role(message);
    if (message.at_key("role").get(role) != simdjson::SUCCESS || !role.is_string()) {
      refuse_value(field_, "a list with a message whose \"role\" is no text", kMessageList);
    }
    if (!is_absent(message, "content") || !is_absent(message, "tool_calls")) return;
    refuse_value(
        field_,
        "a list with a message that has neither \"content\" nor \"tool_calls\", but " + keys_text(dom::object(message)),
        kMessageList);
  }

  [[noreturn]] void refuse_without_role(const dom::element& message) const {
    const bool is_sharegpt = !is_absent(message, "from") && !is_absent(message, "value");
    refuse_value(field_, "a list with a message that has no \"role\", but " + keys_text(dom::object(message)),
                 std::string(kMessageList) +
                     (is_sharegpt ? ": rename ShareGPT's \"from\" to \"role\" (with \"user\" for \"human\" and "
                                    "\"assistant\" for \"gpt\") and \"value\" to \"content\""
                                  : ""));
  }

  static bool is_absent(const dom::element& message, std::string_view key) {
    dom::element value;
    return message.at_key(key).get(value) != simdjson::SUCCESS || value.is_null();
  }

  std::string field_;
  dom::array array_;
};

const dom::element& required(std::string_view field, const std::optional<dom::element>& value,
                             std::string_view wanted) {
  if (value) return *value;
  throw std::invalid_argument("field \"" + std::string(field) + "\" is missing, expected " + std::string(wanted));
}

bool is_list_of_messages(const std::string& text) {
  dom::parser parser;
  dom::array list;
  dom::element role;
  if (parser.parse(text).get(list) != simdjson::SUCCESS || list.size() == 0) return false;
  return std::ranges::all_of(list, [&](const dom::element& message) {
    return message.is_object() && message.at_key("role").get(role) == simdjson::SUCCESS && role.is_string();
  });
}

// Messages as a cell of CSV has them, which would be trained on as the text that they are.
void refuse_messages_as_text(std::string_view field, std::string_view text) {
  if (!text.starts_with("[{")) return;
  const bool is_python = text.starts_with("[{'role':") ||
                         (text.starts_with("[{'content':") && text.find("'role':") != std::string_view::npos);
  if (!is_python && !is_list_of_messages(std::string(text))) return;
  refuse_value(field,
               is_python ? "a text that holds a Python list of messages" : "a text that holds a list of messages",
               "the list itself: make it one with " + std::string(is_python ? "ast.literal_eval()" : "json.loads()") +
                   " and write the data again");
}

std::string_view required_text(std::string_view field, const std::optional<dom::element>& value) {
  const std::string_view text = text_of(field, required(field, value, "text"), "text");
  refuse_messages_as_text(field, text);
  return text;
}

void read_texts(const AnswerFields& fields, Rejected rejected, PreferencePair& pair) {
  const bool implicit = !fields.prompt && fields.rejected;
  if (!implicit) pair.prompt = required_text("prompt", fields.prompt);
  pair.chosen = required_text("chosen", fields.chosen);
  if (fields.rejected || rejected == Rejected::kRequired) pair.rejected = required_text("rejected", fields.rejected);
  if (!implicit) return;
  const std::size_t size = common_prompt(pair.chosen, pair.rejected);
  pair.prompt = pair.chosen.substr(0, size);
  pair.chosen.erase(0, size);
  pair.rejected.erase(0, size);
}

void split_common_prompt(const AnswerFields& fields, const MessageList& chosen, PreferencePair& pair) {
  const MessageList rejected("rejected", required("rejected", fields.rejected, kMessageList));
  const std::size_t size = common_prompt(chosen.array(), rejected.array());
  if (size == 0) {
    throw std::invalid_argument(
        "field \"chosen\" begins with another message than field \"rejected\", expected both to begin with the prompt, "
        "or "
        "\"prompt\" to be a list of messages");
  }
  pair.prompt = chosen.json(0, size);
  pair.chosen = chosen.json(size, chosen.array().size());
  pair.rejected = rejected.json(size, rejected.array().size());
}

std::string tools_json(const dom::element& value) {
  constexpr std::string_view kWanted = "a list of tools, or its JSON as text";
  if (!value.is_string()) {
    if (!value.is_array()) refuse_value("tools", found_text(value), kWanted);
    return json_of("tools", value);
  }
  dom::parser parser;
  dom::element list;
  const std::string text(text_of("tools", value, kWanted));
  if (parser.parse(text).get(list) != simdjson::SUCCESS || !list.is_array()) {
    refuse_value("tools", quoted_text(text), kWanted);
  }
  return json_of("tools", list);
}

void read_messages(const AnswerFields& fields, Rejected rejected, PreferencePair& pair) {
  pair.form = AnswerForm::kMessages;
  const MessageList chosen("chosen", *fields.chosen);
  if (fields.prompt && !fields.prompt->is_string()) {
    pair.prompt = MessageList("prompt", *fields.prompt).json();
    pair.chosen = chosen.json();
    if (fields.rejected || rejected == Rejected::kRequired) {
      pair.rejected = MessageList("rejected", required("rejected", fields.rejected, kMessageList)).json();
    }
  } else if (!fields.rejected && rejected == Rejected::kOptional) {
    required("prompt", {}, kMessageList);
  } else {
    split_common_prompt(fields, chosen, pair);
  }
  if (fields.tools) pair.tools = tools_json(*fields.tools);
  if (!fields.template_variables) return;
  if (!fields.template_variables->is_object()) {
    refuse_value("chat_template_kwargs", found_text(*fields.template_variables), "an object");
  }
  pair.template_variables = json_of("chat_template_kwargs", *fields.template_variables);
}

// One message in place of a list of one.
void refuse_single_message(std::string_view field, const std::optional<dom::element>& value) {
  if (value && value->is_object()) refuse_value(field, "an object, not in a list", kMessageList);
}

// Answers that are no list, beside a prompt of messages: it is they that are wrong.
void check_answers_of_messages(const AnswerFields& fields) {
  if (!fields.prompt || !fields.prompt->is_array()) return;
  for (const auto& [field, value] : {std::pair("chosen", fields.chosen), std::pair("rejected", fields.rejected)}) {
    if (!value || value->is_array()) continue;
    refuse_value(field, found_text(*value), std::string(kMessageList) + ", as \"prompt\" is one");
  }
}

void drop_null(std::optional<dom::element>& field) {
  if (field && field->is_null()) field.reset();
}

}  // namespace

std::optional<dom::element>* AnswerFields::find(std::string_view key) {
  if (key == "prompt") return &prompt;
  if (key == "chosen") return &chosen;
  if (key == "rejected") return &rejected;
  if (key == "tools") return &tools;
  return key == "chat_template_kwargs" ? &template_variables : nullptr;
}

void read_answers(const AnswerFields& fields, Rejected rejected, PreferencePair& pair) {
  for (std::string* text : {&pair.prompt, &pair.chosen, &pair.rejected, &pair.tools, &pair.template_variables}) {
    text->clear();
  }
  pair.form = AnswerForm::kText;
  for (const auto& [field, value] : {std::pair("chosen", fields.chosen), std::pair("rejected", fields.rejected),
                                     std::pair("prompt", fields.prompt)}) {
    refuse_single_message(field, value);
  }
  check_answers_of_messages(fields);
  AnswerFields given = fields;
  if (!given.chosen || !given.chosen->is_array()) return read_texts(given, rejected, pair);
  for (std::optional<dom::element>* field : {&given.prompt, &given.rejected, &given.tools, &given.template_variables}) {
    drop_null(*field);
  }
  read_messages(given, rejected, pair);
}

bool has_answer_of_other_role(const AnswerFields& fields) {
  for (const std::optional<dom::element>& answer : {fields.chosen, fields.rejected}) {
    dom::array messages;
    if (!answer || answer->get(messages) != simdjson::SUCCESS) continue;
    std::string_view role;
    for (const dom::element& message : messages) role = message.at_key("role").get_string().value_unsafe();
    if (role != "assistant") return true;
  }
  return false;
}

}  // namespace equipoise
