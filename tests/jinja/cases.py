#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/unit/token/jinja/cases.json: small templates and what jinja2 makes of them. By hand:
cases.py > tests/unit/token/jinja/cases.json. Needs jinja2; a template it refuses gets "want": null."""
import importlib.util
import json
import os
import sys

spec = importlib.util.spec_from_file_location("compare", os.path.join(os.path.dirname(__file__), "compare.py"))
compare = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compare)

VARS = {
    "s": "Hello, <World>", "u": "Ä 你好 🙂ß", "e": "", "w": "  \n pad \t ", "q": "it's \"x\"\\ \n\t\u0007\u00a0",
    "i": 7, "z": 0, "neg": -7, "f": 2.5, "big": 1e16, "small": 1.5e-7, "t": True, "no": False, "n": None,
    "l": [3, 1, 2], "m": ["b", "A", "c", "a"], "d": {"b": 1, "A": [1, "x", None], "items": "own", "c": {"k": 1.0}},
    "lines": "one\n\ntwo\nthree\n", "msgs": [{"role": "user", "n": 1}, {"role": "tool", "n": 2}, {"role": "user"}],
    "nest": [[1, [2, "x"]], {"a": {"b": [True, None]}}],
}

EXPRESSIONS = r"""
1 + 2 * 3 | 7 // 2 | -7 // 2 | 7 % 3 | -7 % 3 | 7 % -3 | 2 ** 10 | 2 ** -1 | 7 / 2 | 6 / 2 | 2 ** 3 ** 2
-i | +i | -i ** 2 | 1.5 + i | 7.5 // 2 | -7.5 % 2 | 1e3 | 1_000 | 0x1F | 1.0 | 100000000000000000.0 | 1e-5 | 0.1 + 0.2 | big | small | 1e22 | 123456789.125
true + true | true and 0 | 0 or 'x' | '' or none or 0 | not 1 | not not 1 | 1 if t | 1 if no | 1 if no else 2 | 'a' if t else 'b' if no else 'c'
i == 7 | i == 7.0 | 1 == true | '1' == 1 | none == none | l == [3, 1, 2] | (1, 2) == [1, 2] | d == d | 1 < 2 < 3 | 1 < 3 < 2 | 1 != 2 | 'a' < 'b' | [1, 2] < [1, 3] | 'Z' < 'a'
2 in l | 5 not in l | 'b' in d | 'ell' in s | 'x' in none | 1 in (1, 2) | 'a' in x | 'k' in d.c and not no
s ~ i ~ n ~ f ~ t | s + '!' | 'a' * 3 | 3 * 'ab' | l + [4] | l * 2 | 'a' + 1 | l + (1,) | s ~ l ~ d
s[0] | s[-1] | s[100] | s[1:4] | s[::-1] | s[:-1] | s[-3:] | s[::2] | s[5:2] | u[0] | u[2:4] | u[::-1] | u[-1:] | l[1:] | l[::-1] | l[-1] | l[9] is defined | l[:100] | l[-100:2] | l[2:0:-1] | s[10:0:-3]
d.b | d['b'] | d.A[1] | d['items'] | d.c.k | d.missing | d.missing.x | d['x']['y'] | x.y | x['y'] | n.y | n.y is defined | i.foo is defined | d.get('b') | d.get('zz') | d.get('zz', 5) | d.items() | list | d.keys() | list | d.values() | list | d['keys'] is defined | d.items is defined | msgs[0].role | msgs.0.role
[1, 'a', none, true, 1.5, x] | {'a': 1, 'b': [1, 2], 3: none, true: 'x'} | (1,) | () | (1, 'b') | [] | {} | q | [q] | [s, u, e, w] | ["a'b", 'a"b', 'a\'b"c'] | nest | d
'a\nb\t\x41\u00e9\101\q\\' | "x" 'y' "z" | 'it''s' | '\'' | "\"" | 'a\
b' | '\U0001F642'
s | upper | s | lower | s | title | s | capitalize | u | upper | u | lower | 'ÀÉÎ' | lower | 'foo-bar (baz) {x [y <z' | title | "they're bill's" | title | "they're bill's".title() | 'ABC dEF'.capitalize() | i | upper | n | string | l | string | x | string | t | lower
w | trim | w | trim | length | 'xxaxx' | trim('x') | w.strip() | length | w.lstrip() | w.rstrip() | 'xxaxx'.strip('x') | 'abcba'.lstrip('ab') | 'abcba'.rstrip('ab') | '\u00a0 a \u2003' | trim | '\x1ca\x1f'.strip()
s | length | u | length | l | count | d | length | x | length | n | length | i | length
x | default('d') | n | default('d') | n | default('d', true) | e | default('d', true) | e | default('d') | x | d | no | default(1, boolean=true) | default(x, 'y') | s | default(default_value='z')
l | sort | m | sort | m | sort(case_sensitive=true) | l | sort(reverse=true) | msgs | sort(attribute='role') | map(attribute='role') | list | l | reverse | list | s | reverse | m | unique | list | ['a','A','b'] | unique | list | l | min | l | max | [] | min | l | sum | msgs | sum(attribute='zz') | m | min | m | max
l | first | l | last | [] | first | e | last | s | first | l | list | s | list | d | list | x | list | n | list
l | join | l | join(', ') | m | join('-') | msgs | join(',', attribute='role') | [1, none, true] | join('|') | s | join('.') | x | join('a') | (u | list) | join('_')
d | items | list | x | items | list | d | dictsort | d | dictsort(true) | d | dictsort(reverse=true) | {'b': 2, 'a': 3} | dictsort(by='value') | n | items | list
msgs | map(attribute='role') | list | msgs | map(attribute='n', default=0) | list | msgs | map(attribute='n') | list | m | map('upper') | list | l | map('string') | join | n | map('upper') | list | m | map('replace', 'a', 'x') | list | nest | map(attribute='0') | list
msgs | selectattr('role', 'equalto', 'user') | list | length | msgs | selectattr('n') | list | msgs | rejectattr('n', 'defined') | list | l | select('odd') | list | l | reject('gt', 1) | list | [0, 1, '', 'a', none] | select | list | n | selectattr('a') | list | l | select('in', [1, 2]) | list | msgs | selectattr('role', 'eq', 'zz') | first is defined
1 if msgs | selectattr('role', 'eq', 'zz') else 2 | 1 if [] | list else 2 | (l | map('abs')) | length
s | replace('l', 'L') | s | replace('l', 'L', 1) | 'aaa' | replace('aa', 'b') | 'abc' | replace('', '-') | s.replace('l', 'L') | s.replace('l', '', 1) | u.replace('好', 'x') | i | replace('7', 8) | ''.replace('', 'x')
lines | indent | lines | indent(2) | lines | indent(2, true) | lines | indent(width=1, first=true, blank=true) | lines | indent('> ') | 'a' | indent(4, first=true) | '' | indent(2, true)
'12' | int | '12.7' | int | 'x' | int | 'x' | int(5) | 3.9 | int | -3.9 | int | ' 5 ' | int | none | int | 'ff' | int(0, 16) | t | int | '1.5' | float | 'x' | float | 2 | float | '1_000' | int | 1e30 | float
-3 | abs | -3.5 | abs | 2.5 | round | 3.5 | round | 2.567 | round(2) | 2.1 | round(0, 'ceil') | 2.9 | round(method='floor') | 42 | round
d | tojson | nest | tojson | q | tojson | u | tojson | u | tojson(ensure_ascii=true) | d | tojson(indent=2) | [] | tojson(indent=2) | {} | tojson | {'b': 1, 'a': [2]} | tojson(sort_keys=true) | l | tojson(separators=(',', ':')) | d | tojson(indent=1, separators=(', ', '=')) | {1: 2, none: 3, true: 4, 1.5: 5} | tojson | f | tojson | 1e16 | tojson | 1.0 | tojson | x | tojson | (1, 2) | tojson | '\x7f\u2028</script>' | tojson | s | tojson(indent=4) | indent(2)
'<a href="x">&\'' | e | '<b>' | e | e | '<b>' | safe | ('<b>' | safe) + '<i>' | '<i>' + ('<b>' | e) | ('<b>' | safe) ~ '<i>' | '<b>' | escape | length | '<b>' | forceescape
'%s is %d and %.2f %%' | format('a', 5, 2.345) | '%5s|%-5s|%05d' % ('a', 'b', 42) | '%s' % l | '%r' % s | '%x' % 255 | '%s %s' % 'a' | '%d' % 'x' | '%s' % (1, 2) | '%e' % 12345.678 | '%5.1f' % 3.14159
'{} {}'.format(1, 'a') | '{1}{0}'.format('a', 'b') | '{a}-{b}'.format(a=1, b=s) | '{:>5}|{:<5}|{:^5}'.format('a', 'b', 'c') | '{:05d} {:.2f} {:x}'.format(42, 2.345, 255) | '{{}}'.format() | '{'.format() | '{}'.format() | '{!r}'.format('a') | '{:*^9}'.format('mid') | '{:5}|'.format(42) | '{:5}|'.format('ab')
'a b  c'.split() | 'a,b,,c'.split(',') | 'a,b,c'.split(',', 1) | '  a  b '.split(none, 1) | ''.split() | ''.split(',') | 'abc'.split('') | 'a--b'.split('--') | 'a,b,c'.rsplit(',', 1) | 'a b'.rsplit() | 'a,b'.split(sep=',', maxsplit=0) | lines.splitlines() | 'a\r\nb\n'.splitlines(true) | ''.splitlines() | '</think>x</think>y'.split('</think>')[-1] | u.split('好')
s.startswith('He') | s.startswith(('x', 'H')) | s.endswith('>') | s.endswith('x') | ''.startswith('') | s.find('l') | s.find('zz') | s.rfind('l') | u.find('好') | s.count('l') | 'aaa'.count('aa') | 'abc'.count('') | '12'.isdigit() | 'a1'.isalpha() | 'a1'.isalnum() | ' '.isspace() | ''.isdigit() | ','.join(['a', 'b']) | ','.join([1]) | 'xay'.removeprefix('x').removesuffix('y') | s.nosuch() | s.upper().lower() | s.upper
l.index(1) | l.index(9) | l.count(3) | d.copy() == d
x is defined | s is defined | x is undefined | n is none | n is not none | s is string | i is string | d is mapping | l is mapping | l is iterable | s is iterable | i is iterable | x is iterable | d is sequence | l is sequence | n is sequence | x is sequence | i is number | t is number | f is number | s is number | i is integer | t is integer | f is float | t is boolean | i is boolean | t is true | i is true | no is false | z is false
i is odd | i is even | i is divisibleby 7 | i is divisibleby(3) | i is eq 7 | i is equalto(7) | i is ne 7 | i is lt 8 | i is gt(8) | i is ge 7 | i is le 6 | 1 is in l | 9 is in(l) | s is lower | 'abc' is lower | 'ABC' is upper | '12' is upper | n is sameas none | range is callable | s is callable | s is nosuch | not s is defined | s is not defined or t | s is defined and i is odd
range(5) | list | range(2, 8, 3) | list | range(5, 0, -2) | list | range(0) | list | range(3) | sum | range(100001) | range(1, 2, 0) | dict(a=1, b=2) | dict({'x': 1}, y=2) | namespace(a=1).a | namespace({'a': 2}).a | namespace().zz is defined | raise_exception('no') | strftime_now('%Y-%m-%d %H:%M:%S %B %b %A %a %j %y %I %p %-d') | strftime_now('%d %b %Y')
x() | s() | n() | l(1) | 1 / 0 | 1 % 0 | 1 < 'a' | none < 1 | x + 1 | -x | -s | {[1]: 2} | d | nosuch | nosuch(1)
l | batch(2) | list | l | batch(2, 'f') | list | 'a b, c' | wordcount | d | attr('b') is defined | msgs | map('items') | map('list') | list | s | trim | upper | lower | replace('h', 'H') | ('a' ~ 'b') | upper | -1 | abs | [1, 2] | map('string') | join('+') | 'abc' in ['abc'] | (1, 2) + (3,) | l | length - 1 | l | length > 2 and 'yes' | not l | length | 5 is odd and 4 is even | 1 if x is defined and x else 2 | s.split(',')[0] | lower ~ '!'
"""

STATEMENTS = [
    "{% for a in l %}{{ loop.index }}/{{ loop.length }}:{{ a }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for a in l %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.depth }} {% endfor %}",
    "{% for a in l %}{{ loop.previtem }}<{{ a }}>{{ loop.nextitem }};{% endfor %}",
    "{% for a in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}",
    "{% for a in l if a > 1 %}{{ loop.index }}{{ a }}{{ loop.last }}{% else %}none{% endfor %}",
    "{% for a in l if a > 9 %}{{ a }}{% else %}none{% endfor %}", "{% for a in x %}{{ a }}{% else %}empty{% endfor %}",
    "{% for a in n %}{{ a }}{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}", "{% for c in u %}[{{ c }}]{% endfor %}", "{% for (a, b) in [(1, 2), [3, 4]] %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}",
    "{% for a in l %}{% for b in m %}{{ a }}{{ b }}{{ loop.index }} {% endfor %}{{ loop.index }}{% endfor %}",
    "{% for a in 1, 2, 3 %}{{ a }}{% endfor %}", "{% for a in range(10) %}{% if a == 2 %}{% continue %}{% endif %}{% if a == 5 %}{% break %}{% endif %}{{ a }}{% endfor %}",
    "{% for a in l %}{% for b in l %}{% if b == 1 %}{% break %}{% endif %}{{ b }}{% endfor %}{{ a }}{% endfor %}",
    "{% break %}", "{% set y = 1 %}{% for a in l %}{{ y }}{% set y = a %}{{ y }}{% endfor %}{{ y }}",
    "{% set ns = namespace(y=1, s='') %}{% for a in l %}{% set ns.y = ns.y + a %}{% set ns.s = ns.s ~ a %}{% endfor %}{{ ns.y }}{{ ns.s }}",
    "{% set d.b = 2 %}", "{% set nope.b = 2 %}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set a, b = [1] %}",
    "{% set a %}block {{ i }}{% endset %}[{{ a }}]", "{% set a | upper | trim %}  block {{ i }} {% endset %}[{{ a }}]", "{% set ns = namespace() %}{% set ns.a %}x{{ i }}{% endset %}{{ ns.a }}",
    "{% if t %}{% set y = 5 %}{% endif %}{{ y }}", "{% if no %}a{% elif z %}b{% elif i %}c{% else %}d{% endif %}", "{% if no %}a{% elif z %}b{% else %}d{% endif %}",
    "{% if x %}a{% endif %}", "{% if x == none %}a{% else %}b{% endif %}", "{% if 1, %}tuple{% endif %}",
    "{% macro f(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }};{% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(1, c=4) }}{{ f(b=1, a=0) }}{{ f() }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(b=2) }}", "{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, a=3) }}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(4) }}", "{% macro f() %}{{ y }}{% endmacro %}{% set y = 3 %}{{ f() }}",
    "{% for a in l %}{% macro f() %}{{ a }}{% endmacro %}{{ f() }}{% endfor %}", "{% macro f() %}{% set i = 1 %}{{ i }}{% endmacro %}{{ f() }}{{ i }}",
    "{% macro f(a) %}{{ caller(a) }}!{% endmacro %}{% call(v) f(3) %}<{{ v }}{{ i }}>{% endcall %}", "{% macro f() %}[{{ caller() }}]{% endmacro %}{% call f() %}in{% endcall %}",
    "{% macro f(x) %}{{ x | upper }}{% endmacro %}{{ f('a') | lower }}{{ f('b').lower() }}{{ f('abc') | length }}", "{% macro f() %} a {% endmacro %}{{ f() ~ f() }}|{{ f() | trim }}",
    "{% macro f(a=[]) %}{{ a }}{% endmacro %}{{ f() }}{{ f(l) }}{{ f(*[1]) }}{{ f(**{'a': 2}) }}",
    "{% filter upper %}abc {{ s }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}abca{% endfilter %}", "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}", "{% with a = i %}{% set i = 3 %}{{ a }}{{ i }}{% endwith %}{{ i }}",
    "{% raw %}{{ a }} {% b %}{# c #}{% endraw %}", "a {%- raw -%}  {{ x }}  {%- endraw -%} b", "{% raw %}\n x {% endraw %}\n y", "{% raw %}{% endra %}{% endraw %}",
    "{% generation %}a{{ i }}{% endgeneration %}", "{% for a in l %}{% generation %}{{ a }}{% endgeneration %}{% endfor %}",
    "a {# c #} b", "a {#- c -#} b", "a\n  {# c #}\nb", "a\n  {# c #}  \nb", "{# {{ x }} {% if %} #}x", "{# a", "a #} b",
    "  {% if t %}\n  a\n  {% endif %}\nb\n", "x  {% if t %}  a  {% endif %}  y", "  {%+ if t %}a{% endif %}", "{% if t +%}\na{% endif %}", "{% if t -%}\n \n a {%- endif %} b", "a \n {{- i -}} \n b", "a {{ i }}\n b\n", "a\n\n", "a\n", "\n", "", "\r\na\rb\r\n", "  {{ i }}\n  {% set a = 1 %}  {{ a }}\n", "{{ i }}  {% set a = 1 %}\n\n{{ a }}", "{%- if t %}\n\n{%- endif %}x", "{{ i -}}\n{% set a = 1 %}\n b", "{{ '{{' }}{{ '%}' }}{{ '}}' }}", "{{ {'a': {'b': 1}}}}", "{{ {'a': 1}['a'] }}", "{ { } } {", "{% %}", "{{ }}", "{{ i", "{% if", "{% if t %}a", "{% endif %}", "{% else %}", "{% nosuch %}", "{{ 'abc }}", "{{ i } }}", "{{ (i }}", "{{ i) }}", "{{ [1, 2 }}", "{{ i i }}", "{{ 1 + }}", "{{ . }}", "{{ a.b. }}", "{{ $ }}", "{{ i | }}", "{{ i is }}", "{% for %}{% endfor %}", "{% for a l %}{% endfor %}", "{% for a in l %}", "{% set %}", "{% set 1 = 2 %}", "{% set a %}x", "{% macro %}{% endmacro %}", "{% macro f(a=1, b) %}{% endmacro %}", "{% if t %}{% endfor %}", "{% include 'x' %}", "{% extends 'x' %}", "{% set x = 1 %}{{ x }}{% set x = 2 %}{{ x }}", "{{ [1, 2, 3,] }}{{ {'a': 1,} }}{{ (1,) }}", "{{ f(1,) }}",
    "{{ s }}{{ x }}{{ n }}{{ t }}{{ l }}{{ f }}{{ d }}", "{{ 1, 2 }}", "{{ a if b }}|", "{{ 'x' if x is defined else 'y' }}", "{% set loop = 5 %}{{ loop }}", "{% for a in l %}{% endfor %}{{ loop is defined }}", "{% set range = 5 %}{{ range }}", "{{ True }}{{ False }}{{ None }}{{ none }}",
    "{% for m in msgs %}{% if loop.previtem and loop.previtem.role == 'user' %}P{% endif %}{{ m.role }}{% if not loop.last and loop.nextitem.role != 'tool' %}N{% endif %} {% endfor %}",
    "{% set a = [] %}{% set b = a + [1] %}{% set b = b + [2] %}{{ a }}{{ b }}", "{% for a in [[1, 2], [3]] %}{% for b in a %}{{ b }}{{ loop.last }}{% endfor %}{{ loop.last }}{% endfor %}",
    "{% set a = {'k': l} %}{% for x in a.k[1:] %}{{ x }}{% endfor %}{{ a['k'][::-1] }}", "{{ ('a' 'b') }}{{ 'a' ~ ('b' if t else 'c') ~ 1 + 2 }}", "{{ 1 ~ 2 + 3 }}", "{{ 2 * 3 ~ 4 }}", "{{ i | string ~ 'a' }}", "{{ -1 | abs }}{{ - 1 | string }}", "{{ i is odd is true }}", "{{ not i is even }}", "{{ 'a' in 'abc' == true }}",
    "{% for a in l | sort %}{{ a }}{% endfor %}", "{% for a in (l if t else m) %}{{ a }}{% endfor %}", "{% for a in l if t else m %}{% endfor %}", "{% if l | length > 2 and m | length == 4 %}yes{% endif %}", "{% set a = l | map('string') | list %}{{ a[0] ~ a | join }}",
]


def split(text):
    """Alternatives are separated by " | " where what follows begins another expression; filters are not."""
    out = []
    for line in text.strip("\n").replace("\\\nb'", "\\\0b'").split("\n"):
        line = line.replace("\0", "\n")
        out.append(line)
    return out


def expressions():
    filters = set("""upper lower title capitalize string trim length count default d sort reverse unique min max sum first
last list join items dictsort map selectattr rejectattr select reject replace indent int float abs round tojson e safe escape
forceescape format batch wordcount attr nosuch""".split())
    for line in split(EXPRESSIONS):
        parts, name = [], None
        for part in line.split(" | "):
            name = part.split("(")[0].split(" ")[0].split("[")[0].strip()
            if parts and name in filters and not (name == "d" and part.strip() != "d" or part in ("d", "e") and parts[-1] != "x" and parts[-1] != "'<b>'" and "href" not in parts[-1]):
                parts[-1] += " | " + part
            else:
                parts.append(part)
        yield from parts


def main():
    env, cases = compare.environment(), []
    for t in ["{{ " + e + " }}" for e in expressions()] + STATEMENTS:
        try:
            want = env.from_string(t).render(**VARS)
        except Exception:  # whatever a template does to Python
            want = None
        if want is not None and (" at 0x" in want or "dict_items" in want or "<function" in want or "<class" in want):
            continue
        cases.append({"t": t, "want": want})
    rows = ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases)
    print('{"now": %s,\n"vars": %s,\n"cases": [\n%s\n]}' % (json.dumps(compare.NOW), json.dumps(VARS, ensure_ascii=False), rows))


main()
