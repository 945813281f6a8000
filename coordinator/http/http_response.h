// An answer of the HTTP port, and the headers that every answer has.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace equipoise::coordinator {

inline constexpr std::string_view kJsonContent = "application/json; charset=utf-8";
inline constexpr std::string_view kPlainContent = "text/plain; charset=utf-8";

struct HttpResponse {
  int status = 200;
  std::string content_type;  // empty: no body
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields = {};  // others, of ours alone: nothing of a request
};

// One line of plain text, which names nothing of the request.
HttpResponse plain_answer(int status, const std::string& line);

enum class AfterAnswer { kKeepOpen, kClose };
enum class AnswerPart { kWhole, kHead };  // kHead: of HEAD, or before a stream

// The bytes of it. What is not a stream has its length.
std::string response_bytes(const HttpResponse& response, AfterAnswer after, AnswerPart part);
// The head of a stream of server-sent events, whose end is the connection's.
std::string stream_head();

}  // namespace equipoise::coordinator
