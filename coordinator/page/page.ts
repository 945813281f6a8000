// The page of the coordinator: which view an address has, who looks at it, and whether the service answers.
import { ApiError, hasToken, setToken } from "./api";
import { compareView } from "./compare";
import { h, replace, setText } from "./dom";
import { jobView } from "./job";
import { listView } from "./list";

export interface View {
  place: HTMLElement;
  signal: AbortSignal; // ends with the view
  link: (isUp: boolean, why: string) => void; // whether events come
  refused: (error: ApiError | Error) => void; // the view cannot go on
}

const place = h("main", { id: "main", tabindex: -1 });
const link = h("p", { class: "link", role: "status" });
const leave = h(
  "button",
  {
    type: "button",
    class: "small",
    click: () => {
      setToken(null);
      show();
    },
  },
  "Forget the token",
);
let ending = new AbortController();

function askForToken(why: string): void {
  const input = h("input", { type: "password", id: "token", autocomplete: "off", required: true });
  const form = h(
    "form",
    {
      class: "token",
      submit: (event) => {
        event.preventDefault();
        setToken(input.value.trim());
        show();
      },
    },
    h("h1", {}, "This service asks who you are"),
    h("p", { role: "alert" }, why),
    h("p", { class: "field" }, h("label", { for: "token" }, "Token"), input),
    h("button", { type: "submit", class: "main" }, "Go on"),
    h("p", {}, "It stays in this tab, until you close it. ", h("code", {}, "equipoise token create"), " makes one."),
  );
  replace(place, form);
  input.focus();
}

function show(): void {
  ending.abort();
  ending = new AbortController();
  document.title = "Equipoise";
  setText(link, "");
  leave.hidden = !hasToken();
  const view: View = {
    place,
    signal: ending.signal,
    link: (isUp, why) => setText(link, isUp ? "" : `No news from the service (${why}); trying again.`),
    refused: (error) => {
      if (error instanceof ApiError && error.status === 401) {
        const known = hasToken();
        setToken(null);
        leave.hidden = true;
        return askForToken(
          known
            ? "The service does not know the token."
            : "A token of a viewer is enough to look; pausing, settings and cancelling want one of an operator.",
        );
      }
      replace(
        place,
        h("p", {}, h("a", { href: "#/" }, "All jobs")),
        h("h1", {}, "This cannot be shown"),
        h("p", { role: "alert" }, error.message),
      );
    },
  };
  const [, kind, what] = /^#\/(jobs|compare)\/([a-z0-9,-]+)$/.exec(location.hash) ?? [];
  if (kind === "jobs") jobView(view, what!);
  else if (kind === "compare") void compareView(view, what!.split(",").slice(0, 8));
  else listView(view);
}

document.getElementById("page")!.append(
  h(
    "a",
    {
      href: "#main",
      class: "skip",
      click: (event) => {
        event.preventDefault();
        place.focus();
      },
    },
    "Skip to the content",
  ),
  h("header", { class: "top" }, h("a", { href: "#/", class: "name" }, "Equipoise"), link, leave),
  place,
);
addEventListener("hashchange", () => {
  show();
  place.focus();
});
show();
