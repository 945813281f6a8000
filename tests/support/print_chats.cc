// equipoise_print_chats CASES.json OUT.json: what chat templates make of conversations, for tests that compare them
// with another library's. A case is {"template", "messages"} and perhaps "tools", "variables" and "prompt" (whether an
// answer begins); what comes out is {"text"} or {"refused"}.
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/huggingface/chat_template.h"

namespace equipoise {
namespace {

using nlohmann::ordered_json;

std::string dumped(const ordered_json& object, const char* field) {
  return object.contains(field) && !object[field].is_null() ? object[field].dump() : "";
}

ordered_json rendered(const ordered_json& given) {
  const std::string messages = dumped(given, "messages"), tools = dumped(given, "tools");
  const std::string variables = dumped(given, "variables");
  try {
    const ChatTemplate chat_template({.name = "template", .text = given["template"].get<std::string>()},
                                     std::chrono::sys_days(std::chrono::year(2026) / 11 / 25));
    return {{"text", chat_template.render({.messages = messages,
                                           .tools = tools,
                                           .variables = variables,
                                           .add_generation_prompt = given.value("prompt", false)})}};
  } catch (const std::invalid_argument& refusal) {
    return {{"refused", refusal.what()}};
  }
}

void print_chats(const char* cases, const char* out) {
  std::ifstream file(cases);
  ordered_json results = ordered_json::array();
  for (const ordered_json& given : ordered_json::parse(file)) results.push_back(rendered(given));
  std::ofstream(out) << results;
}

}  // namespace
}  // namespace equipoise

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    equipoise::print_chats(argv[1], argv[2]);
    return 0;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "equipoise_print_chats: %s\n", problem.what());
    return 2;
  }
}
