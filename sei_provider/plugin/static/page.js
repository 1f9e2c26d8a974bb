"use strict";
// Arrow keys move between the cells of a grid, which is one stop of the Tab key; and the backfill form is sent to Airflow.

for (const grid of document.querySelectorAll("table.grid")) {
  const rows = [...grid.tBodies[0].rows].map((row) => [...row.querySelectorAll("a")]).filter((row) => row.length);
  const links = rows.flat();
  links.forEach((link, number) => { link.tabIndex = number === 0 ? 0 : -1; });
  grid.addEventListener("focusin", (event) => {
    if (!links.includes(event.target)) return;
    links.forEach((link) => { link.tabIndex = -1; });
    event.target.tabIndex = 0;
  });
  grid.addEventListener("keydown", (event) => {
    const row = rows.findIndex((each) => each.includes(document.activeElement));
    if (row < 0) return;
    const column = rows[row].indexOf(document.activeElement);
    const next = {
      ArrowLeft: () => rows[row][column - 1],
      ArrowRight: () => rows[row][column + 1],
      ArrowUp: () => rows[row - 1] && rows[row - 1][Math.min(column, rows[row - 1].length - 1)],
      ArrowDown: () => rows[row + 1] && rows[row + 1][Math.min(column, rows[row + 1].length - 1)],
      Home: () => rows[row][0],
      End: () => rows[row][rows[row].length - 1],
    }[event.key];
    if (!next) return;
    event.preventDefault();
    const link = next();
    if (link) link.focus();
  });
}

const form = document.getElementById("backfill");
if (form) {
  const answer = document.getElementById("answer");
  const button = form.querySelector("button");
  button.disabled = false;

  const say = (text, address, linked) => {
    answer.replaceChildren(document.createTextNode(text));
    if (address) {
      const link = document.createElement("a");
      link.href = address;
      link.textContent = linked;
      answer.append(link);
    }
  };

  const conf = () => {
    const values = new FormData(form);
    const lines = values.get("teams").split("\n").map((line) => line.trim()).filter(Boolean);
    return {
      reports: values.getAll("reports"),
      teams: lines.map((line) => (line.startsWith("{") ? JSON.parse(line) : line)),
      tree: values.get("tree").trim() || null,
      from: values.get("from"),
      to: values.get("to"),
      chunk: values.get("chunk"),
      which: values.get("which"),
      dry_run: values.has("dry_run"),
    };
  };

  const refusal = (status, detail) => {
    const reasons = {
      401: "you are not logged in any more",
      403: "you lack the right to start a run of sei_backfill",
      404: "there is no DAG sei_backfill here",
      409: "there is such a run already",
    };
    return `Airflow has started no run: ${reasons[status] || "it answered " + status}. ${detail}`;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      const body = JSON.stringify({ logical_date: null, conf: conf() });
      say("Asking Airflow…");
      const headers = { "Content-Type": "application/json", Accept: "application/json" };
      const reply = await fetch(form.dataset.api + "/dagRuns", { method: "POST", credentials: "same-origin", headers, body });
      const told = await reply.json().catch(() => ({}));
      if (reply.ok) {
        const run = told.dag_run_id;
        say("Started run ", form.dataset.ui + "/runs/" + encodeURIComponent(run), run);
        const dag = await fetch(form.dataset.api, { credentials: "same-origin", headers }).then((found) => found.json()).catch(() => ({}));
        if (dag.is_paused) answer.append(". The DAG is paused, so the run waits until somebody unpauses it.");
      } else {
        say(refusal(reply.status, typeof told.detail === "string" ? told.detail : JSON.stringify(told.detail || "")));
      }
    } catch (error) {
      say(`No run was asked for: ${error.message}`);
    } finally {
      button.disabled = false;
    }
  });
}
