"use strict";
// Texts come from data sets: they reach the page through text nodes and attributes alone, never as markup.

function node(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter(child => child !== null && child !== undefined && child !== ""));
  return made;
}
const el = (tag, attributes, ...children) => node(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  node(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const byId = id => document.getElementById(id);
const parsed = element => JSON.parse(element.textContent);
const counted = (count, one, many = one + "s") => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
const number = text => {
  const plain = /^-?[\d,]+(\.\d+)?%?$/.test(text) ? parseFloat(text.replaceAll(",", "")) : NaN;
  return Number.isFinite(plain) ? plain : null;
};
