# Writes every scalar of the YAML or JSON files named on the command line as a line
#
#   file/key/0/key<TAB>value
#
# that is, the path to it (list items are counted from 0) and, without its quotes,
# the value; a line break in it is written as the character \036. Read is what seeds
# are made of: block and flow style, quoted, plain and block scalars, comments.
# Anchors, tags and keys that are not plain words are not.

FNR == 1 && NR > 1 { document() }
{ sub(/\r$/, ""); line[++last] = $0; name = FILENAME; sub(/.*\//, "", name) }
END { document() }

function document() {
  at = 1
  # What makes no sense is left out, by whole lines; the rest is read all the same.
  while (more()) { here = at; block(name, 0); if (at == here) at++ }
  last = 0
}
function emit(path, value) { print path "\t" value }
function indent(text) { match(text, /^ */); return RLENGTH }
# Goes to the next line that says something.
function more() {
  while (at <= last && line[at] ~ /^ *(#.*|---.*|\.\.\.)?$/) at++
  return at <= last
}

# The node that begins here, if it is indented by at least so much.
function block(path, least,    depth, i, key) {
  if (!more() || indent(line[at]) < least) return
  depth = indent(line[at])
  if (line[at] ~ /^ *-( |$)/) {
    for (i = 0; more() && indent(line[at]) == depth && line[at] ~ /^ *-( |$)/; i++) {
      # Without its dash the item is a node like any other.
      sub(/-/, " ", line[at])
      block(path "/" i, depth + 1)
    }
    return
  }
  if (!is_pair(line[at])) { scalar(path, substr(line[at], depth + 1), least - 1); return }
  while (more() && indent(line[at]) == depth && is_pair(line[at])) {
    # RLENGTH is what is_pair() has matched.
    key = substr(line[at], 1, RLENGTH); gsub(/[^A-Za-z0-9_.-]/, "", key)
    i = substr(line[at], RLENGTH + 1); sub(/^ +/, "", i)
    if (i != "" && i !~ /^#/) { scalar(path "/" key, i, depth); continue }
    at++
    # A list may stand right below its key, without more indentation.
    if (more()) block(path "/" key, line[at] ~ /^ *-( |$)/ ? depth : depth + 1)
  }
}
function is_pair(text) {
  return match(text, /^ *([A-Za-z0-9_.-]+|"[A-Za-z0-9_.-]+"|'[A-Za-z0-9_.-]+') *:/) && substr(text, RLENGTH + 1) ~ /^( |$)/
}

# A value that begins with this text and may go on in lines that are indented more.
function scalar(path, text, depth,    value, margin, break_) {
  if (text ~ /^[|>][-+0-9]*( +#.*)?$/) {
    margin = -1
    for (at++; at <= last && (line[at] ~ /^ *$/ || indent(line[at]) > depth); at++) {
      if (margin < 0 && line[at] !~ /^ *$/) margin = indent(line[at])
      value = value break_ substr(line[at], margin + 1)
      break_ = text ~ /^>/ ? " " : "\036"
    }
    sub(/[ \036]+$/, "", value)
    if (text ~ /^\|/ && text !~ /^\|[0-9]*-/) value = value "\036"
    emit(path, value)
    return
  }
  if (text ~ /^["'[{]/) { rest = text; flow(path); at++; return }
  sub(/ +#.*$/, "", text)
  for (at++; at <= last && line[at] !~ /^ *(#.*)?$/ && indent(line[at]) > depth; at++) {
    value = line[at]; sub(/^ +/, "", value); sub(/ +#.*$/, "", value); text = text " " value
  }
  sub(/ +$/, "", text)
  emit(path, text)
}

# Flow style: [ ], { } and quoted scalars, from the text in 'rest' and as many lines
# more as they take.
function next_token() {
  sub(/^[ \t]+/, "", rest)
  while ((rest == "" || rest ~ /^#/) && at < last) { rest = line[++at]; sub(/^[ \t]+/, "", rest) }
  return substr(rest, 1, 1)
}
function skip() { rest = substr(rest, 2) }
function flow(path,    i, key, token) {
  token = next_token()
  if (token == "[") {
    skip()
    for (i = 0; (token = next_token()) != "]" && token != ""; i++) {
      if (token == ",") { skip(); i--; continue }
      flow(path "/" i)
      if (next_token() == ",") skip()
    }
    skip()
  } else if (token == "{") {
    skip()
    while ((token = next_token()) != "}" && token != "") {
      if (token == ",") { skip(); continue }
      key = word(":")
      if (next_token() == ":") { skip(); flow(path "/" key) }
    }
    skip()
  } else emit(path, word(",]}"))
}
# The quoted scalar in front, or the plain one up to one of these characters.
function word(ends,    quote, value, c) {
  quote = next_token()
  if (quote != "\"" && quote != "'") {
    while (rest != "" && index(ends, c = substr(rest, 1, 1)) == 0 && rest !~ /^ +#/) { value = value c; skip() }
    # Nothing makes sense here; do not come back to it.
    if (value == "") skip()
    sub(/ +$/, "", value)
    return value
  }
  for (skip(); ; ) {
    while (rest == "") {
      if (at >= last) return value
      rest = line[++at]; sub(/^[ \t]+/, "", rest); sub(/ +$/, "", value); value = value " "
    }
    c = substr(rest, 1, 1); skip()
    if (c == "\\" && quote == "\"") {
      c = substr(rest, 1, 1); skip()
      value = value (c == "n" ? "\036" : c == "t" ? "\t" : c)
    } else if (c != quote) value = value c
    else if (quote == "'" && substr(rest, 1, 1) == "'") { value = value "'"; skip() }
    else return value
  }
}
