// Starts the widgets of a page and gives each a model like anywidget's, which lives in the page alone.
(() => {
  "use strict";

  function makeModel(values) {
    const heard = new Map();
    return {
      get: name => values[name],
      set: (name, value) => {
        values[name] = value;
        for (const callback of [...(heard.get(`change:${name}`) ?? [])]) callback();
      },
      save_changes: () => {},
      on: (event, callback) => heard.set(event, [...(heard.get(event) ?? []), callback]),
      off: (event, callback) => heard.set(event, (heard.get(event) ?? []).filter(one => one !== callback)),
    };
  }

  window.courseWidgets = {
    add(name, widget) {
      for (const el of document.querySelectorAll(`.course-widget[data-widget="${name}"]:not([data-started])`)) {
        el.dataset.started = "";
        widget.render({ model: makeModel(JSON.parse(el.dataset.traits)), el });
      }
    },
  };
})();
