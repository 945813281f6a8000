// Prompt and answers of one line: texts, or messages for a chat template. They are TRL's forms and rules:
//   texts     "prompt", "chosen", "rejected"; without "prompt" it is the text that both answers begin with
//   messages  "chosen" and "rejected" are lists {"role": ..., "content": ...}, and so is "prompt"; without it, or where
//   it
//             is text, the prompt is the messages that both answers begin with. "tools" (a list, or its JSON as text)
//             and "chat_template_kwargs" (an object) go to the template.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string_view>

#include "common/dataset/preference_pair.h"

namespace equipoise {

struct AnswerFields {
  std::optional<simdjson::dom::element> prompt, chosen, rejected, tools, template_variables;

  // The field of this key, nullptr for another.
  std::optional<simdjson::dom::element>* find(std::string_view key);
};

// Sets all of `pair` that comes from these fields. Null counts as absent, but for texts.
// Throws std::invalid_argument naming the field, without the file's name.
void read_answers(const AnswerFields& fields, Rejected rejected, PreferencePair& pair);

// Whether an answer is messages of which the last has another role than "assistant". Of fields that read_answers()
// took.
bool has_answer_of_other_role(const AnswerFields& fields);

}  // namespace equipoise
