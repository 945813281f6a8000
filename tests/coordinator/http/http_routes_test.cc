#include "coordinator/http/http_routes.h"

#include <gmock/gmock.h>

#include <fstream>
#include <string>

#include "coordinator/access/call_rules.h"

namespace equipoise::coordinator {
namespace {

TEST(HttpRoutes, EachHasARuleOfWhoMay) {
  for (const HttpRoute& route : http_routes()) {
    if (route.part != HttpPart::kApi && route.part != HttpPart::kMetrics) continue;
    const CallRule* const rule = rule_of("TrainingJobService/" + std::string(route.rpc));
    ASSERT_NE(rule, nullptr) << route.path;
    EXPECT_EQ(rule->least > Role::kViewer, route.method == "POST") << route.path << ": reading is for viewers";
    EXPECT_EQ(rule->kind == CallKind::kStream, route.path.ends_with(":watch")) << route.path;
  }
}

TEST(HttpRoutes, AreFoundByMethodAndPath) {
  EXPECT_EQ(match_route("GET", "/v1/jobs/a-1").route->call, HttpCall::kGetJob);
  EXPECT_EQ(match_route("GET", "/v1/jobs/a-1:watch").route->call, HttpCall::kWatchJob);
  EXPECT_EQ(match_route("HEAD", "/metrics").route->call, HttpCall::kMetrics);
  const RouteMatch pause = match_route("GET", "/v1/jobs/a-1:pause");
  EXPECT_EQ(pause.route, nullptr);
  EXPECT_THAT(pause.methods, testing::ElementsAre("POST"));
  EXPECT_EQ(match_route("POST", "/v1/jobs/a-1:pause").id, "a-1");
}

TEST(HttpRoutes, NoOtherPathIsAny) {
  for (const char* path : {"", "//", "/page.html", "/v1/jobs/", "/v1/jobs/../x", "/v1/jobs/a/b", "/v1/jobs/A-1",
                           "/v1/jobs/%61", "/v1/jobs/a-1/", "/v1/jobs/a-1:erase", "/v1/jobs/:watch", "/v1/jobs/a.b"}) {
    EXPECT_TRUE(match_route("GET", path).methods.empty()) << path;
  }
}

// Tests run in the folder tests/.
TEST(HttpRoutes, AreTheRowsOfTheReference) {
  std::ifstream file("../docs/reference/http.md");
  ASSERT_TRUE(file);
  std::vector<std::string> documented, routes;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| `GET /") || line.starts_with("| `POST /")) {
      documented.push_back(line.substr(3, line.find('`', 3) - 3));
    }
  }
  for (const HttpRoute& route : http_routes()) {
    routes.push_back(std::string(route.method) + " " + std::string(route.path));
  }
  EXPECT_THAT(documented, testing::ElementsAreArray(routes));
}

}  // namespace
}  // namespace equipoise::coordinator
