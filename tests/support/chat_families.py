"""Chat templates written for tests, each with the constructs that a family's templates use, and conversations for them."""

LOOP = "{% for m in messages %}"
TEMPLATES = {
    "llama2": """{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}
{% else %}{% set rest = messages %}{% set system = false %}{% endif %}
{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns must alternate') }}{% endif %}
{% if loop.index0 == 0 and system != false %}{% set text = '<<S>>' + system + '<</S>>' + m['content'] %}{% else %}{% set text = m['content'] %}{% endif %}
{% if m['role'] == 'user' %}{{ bos_token + '[I] ' + text.strip() + ' [/I]' }}{% elif m['role'] == 'assistant' %}{{ ' ' + text.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    "llama3": """{% set loop_messages = messages %}{% for m in loop_messages %}{% set text = '<|h|>' + m['role'] + '<|/h|>\n\n'+ m['content'] | trim + '<|e|>' %}{% if loop.index0 == 0 %}{% set text = bos_token + text %}{% endif %}{{ text }}{% endfor %}{% if add_generation_prompt %}{{ '<|h|>assistant<|/h|>\n\n' }}{% endif %}""",
    "llama31_tools": """{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not tools_in_user is defined %}{%- set tools_in_user = true %}{%- endif %}
{%- if not date_string is defined %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content']|trim %}{%- set messages = messages[1:] %}{%- else %}{%- set system = "" %}{%- endif %}
{{- "S:" }}{%- if builtin is defined or tools is not none %}{{- "Env\n" }}{%- endif %}
{%- if builtin is defined %}{{- "T: " + builtin | reject('equalto', 'code') | join(", ") + "\n\n"}}{%- endif %}
{{- date_string + "\n" }}
{%- if tools is not none and not tools_in_user %}{%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\n\n" }}{%- endfor %}{%- endif %}{{- system }}
{%- for m in messages %}
{%- if not (m.role == 'ipython' or m.role == 'tool' or 'tool_calls' in m) %}{{- m['role'] + ':' + m['content'] | trim + '|' }}
{%- elif 'tool_calls' in m %}{%- if not m.tool_calls|length == 1 %}{{- raise_exception("one call at a time") }}{%- endif %}
{%- set call = m.tool_calls[0].function %}{%- if builtin is defined and call.name in builtin %}{{- call.name + ".call(" }}{%- for k, v in call.arguments | items %}{{- k + '="' + v + '"' }}{%- if not loop.last %}{{- ", " }}{%- endif %}{%- endfor %}{{- ")" }}
{%- else %}{{- '{"name": "' + call.name + '", ' }}{{- '"parameters": ' }}{{- call.arguments | tojson }}{{- "}" }}{%- endif %}
{%- elif m.role == "tool" or m.role == "ipython" %}{%- if m.content is mapping or m.content is iterable and m.content is not string %}{{- m.content | tojson }}{%- else %}{{- m.content }}{%- endif %}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- 'assistant:' }}{%- endif %}""",
    "mistral_v1": """{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[I] ' + m['content'] + ' [/I]' }}{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token + ' ' }}{% endif %}{% endfor %}""",
    "mistral_v3_tools": """{%- if messages[0]["role"] == "system" %}{%- set system = messages[0]["content"] %}{%- set rest = messages[1:] %}{%- else %}{%- set rest = messages %}{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- set users = rest | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}{%- set ns.index = 0 %}
{%- for m in rest %}{%- if not (m.role == "tool" or m.role == "tool_results" or (m.tool_calls is defined and m.tool_calls is not none)) %}{%- set ns.index = ns.index + 1 %}{%- endif %}{%- endfor %}{{- ns.index }}
{{- bos_token }}{%- for m in rest %}{%- if m["role"] == "user" %}{%- if tools is not none and (m == users[-1]) %}{{- "[T] [" }}{%- for tool in tools %}{%- set tool = tool.function %}{{- '{"type": "function", "function": {' }}{%- for key, val in tool.items() if key != "return" %}{%- if val is string %}{{- '"' + key + '": "' + val + '"' }}{%- else %}{{- '"' + key + '": ' + val|tojson }}{%- endif %}{%- if not loop.last %}{{- ", " }}{%- endif %}{%- endfor %}{{- "}}" }}{%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}{%- endfor %}{{- "[/T]" }}{%- endif %}
{%- if loop.last and system is defined %}{{- "[I] " + system + "\n\n" + m["content"] + "[/I]" }}{%- else %}{{- "[I] " + m["content"] + "[/I]" }}{%- endif %}
{%- elif m.tool_calls is defined and m.tool_calls is not none %}{{- "[C] [" }}{%- for call in m.tool_calls %}{%- set out = call.function|tojson %}{{- out[:-1] }}{%- if call.id is defined %}{{- ', "id": "' + call.id[-9:] + '"}' }}{%- else %}{{- "}" }}{%- endif %}{%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" + eos_token }}{%- endif %}{%- endfor %}
{%- elif m["role"] == "assistant" %}{{- " " + m["content"]|trim + eos_token}}{%- elif m["role"] == "tool" %}{%- if m.content is defined and m.content.content is defined %}{%- set content = m.content.content %}{%- else %}{%- set content = m.content %}{%- endif %}{{- '[R] {"content": ' + content|string + ", " }}{{- '"call_id": "' + (m.tool_call_id or '')|string + '"}[/R]' }}{%- endif %}{%- endfor %}""",
    "mistral_small": """{%- set today = strftime_now("%Y-%m-%d")|length %}{%- set default = "Knows " + today|string + "." %}{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}{%- if messages[0]['content'] is string %}{%- set system = messages[0]['content'] %}{%- else %}{%- set system = messages[0]['content'][0]['text'] %}{%- endif %}{%- set rest = messages[1:] %}{%- else %}{%- set system = default %}{%- set rest = messages %}{%- endif %}{{- '[S]' + system + '[/S]' }}
{%- for m in rest %}{%- if m['role'] == 'user' %}{%- if m['content'] is string %}{{- '[I]' + m['content'] + '[/I]' }}{%- else %}{{- '[I]' }}{%- for block in m['content'] %}{%- if block['type'] == 'text' %}{{- block['text'] }}{%- elif block['type'] in ['image', 'image_url'] %}{{- '[IMG]' }}{%- else %}{{- raise_exception('only text and images') }}{%- endif %}{%- endfor %}{{- '[/I]' }}{%- endif %}{%- elif m['role'] == 'assistant' and m['content'] is string %}{{- m['content'] + eos_token }}{%- endif %}{%- endfor %}""",
    "qwen2": """{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<s>system\nYou help.<e>\n' }}{% endif %}{{'<s>' + m['role'] + '\n' + m['content'] + '<e>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}""",
    "qwen25_tools": """{%- if tools %}{{- '<s>system\n' }}{%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] }}{%- else %}{{- 'You help.' }}{%- endif %}{{- "\n\n# Tools\n<tools>" }}{%- for tool in tools %}{{- "\n" }}{{- tool | tojson }}{%- endfor %}{{- "\n</tools>\n<e>\n" }}{%- else %}{%- if messages[0]['role'] == 'system' %}{{- '<s>system\n' + messages[0]['content'] + '<e>\n' }}{%- endif %}{%- endif %}
{%- for message in messages %}{%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}{{- '<s>' + message.role + '\n' + message.content + '<e>' + '\n' }}
{%- elif message.role == "assistant" %}{{- '<s>' + message.role }}{%- if message.content %}{{- '\n' + message.content }}{%- endif %}{%- for tool_call in message.tool_calls %}{%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}{{- '\n<call>\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}{{- tool_call.arguments | tojson }}{{- '}\n</call>' }}{%- endfor %}{{- '<e>\n' }}
{%- elif message.role == "tool" %}{%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}{{- '<s>user' }}{%- endif %}{{- '\n<r>\n' }}{{- message.content }}{{- '\n</r>' }}{%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<e>\n' }}{%- endif %}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<s>assistant\n' }}{%- endif %}""",
    "qwen3": """{%- set ns = namespace(multi=true, last=messages|length - 1) %}{%- for message in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}{%- if ns.multi and message.role == "user" and message.content is string and not(message.content.startswith('<r>') and message.content.endswith('</r>')) %}{%- set ns.multi = false %}{%- set ns.last = index %}{%- endif %}{%- endfor %}{{- ns.last }}
{%- for message in messages %}{%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}{%- if message.role == "assistant" %}{%- set reasoning = '' %}{%- if message.reasoning_content is string %}{%- set reasoning = message.reasoning_content %}{%- else %}{%- if '</think>' in content %}{%- set reasoning = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}{%- set content = content.split('</think>')[-1].lstrip('\n') %}{%- endif %}{%- endif %}{%- if loop.index0 > ns.last %}{%- if loop.last or (not loop.last and reasoning) %}{{- '<a>\n<think>\n' + reasoning.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}{%- else %}{{- '<a>\n' + content }}{%- endif %}{%- else %}{{- '<a>\n' + content }}{%- endif %}{%- else %}{{- message.role ~ ':' ~ content }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<a>\n' }}{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}{%- endif %}""",
    "gemma1": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<t>' + role + '\n' + message['content'] | trim + '</t>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<t>model\n'}}{% endif %}""",
    "gemma3": """{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- if messages[0]['content'] is string -%}{%- set first = messages[0]['content'] + '\n\n' -%}{%- else -%}{%- set first = messages[0]['content'][0]['text'] + '\n\n' -%}{%- endif -%}{%- set rest = messages[1:] -%}{%- else -%}{%- set first = "" -%}{%- set rest = messages -%}{%- endif -%}
{%- for message in rest -%}{%- if (message['role'] == 'assistant') -%}{%- set role = "model" -%}{%- else -%}{%- set role = message['role'] -%}{%- endif -%}{{ '<t>' + role + '\n' + (first if loop.first else "") }}{%- if message['content'] is string -%}{{ message['content'] | trim }}{%- elif message['content'] is iterable -%}{%- for item in message['content'] -%}{%- if item['type'] == 'image' -%}{{ '<i>' }}{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}{%- else -%}{{ raise_exception("type") }}{%- endif -%}{{ '</t>\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{'<t>model\n'}}{%- endif -%}""",
    "phi3": """{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}""",
    "phi4_mini": """{% for message in messages %}{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not none %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' }}{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}""",
    "deepseek_v3": """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='', is_first_sp=true) %}{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.is_first_sp %}{% set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first_sp = false %}{%- else %}{% set ns.system_prompt = ns.system_prompt + '\n\n' + message['content'] %}{%- endif %}{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system_prompt }}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<U>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and 'tool_calls' in message %}{%- set ns.is_tool = false -%}{%- for tool in message['tool_calls'] %}{%- if not ns.is_first %}{{'<A><calls>' + tool['type'] + '<sep>' + tool['function']['name'] + '\n' + '```json' + '\n' + tool['function']['arguments']|tojson + '\n' + '```' + '</call>'}}{%- set ns.is_first = true -%}{%- else %}{{'\n<call>' + tool['function']['name']}}{%- endif %}{%- endfor %}{%- endif %}{%- if message['role'] == 'assistant' and 'tool_calls' not in message %}{%- if ns.is_tool %}{{'</outputs>' + message['content'] + '<E>'}}{%- set ns.is_tool = false -%}{%- else %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<A>' + content + '<E>'}}{%- endif %}{%- endif %}{%- if message['role'] == 'tool' %}{%- set ns.is_tool = true -%}{{'<output>' ~ message['content'] ~ '</output>'}}{%- endif %}{%- endfor -%}{% if add_generation_prompt and not ns.is_tool %}{{'<A>'}}{% endif %}""",
    "command_r": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}{% elif false == true %}{% set rest = messages %}{% set system = 'x' %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}{% if system != false %}{{ '<SYS>' + system + '<END>' }}{% endif %}{% for message in rest %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<U>' + content.strip() + '<END>' }}{% elif message['role'] == 'assistant' %}{{ '<C>' + (content or '').strip() + '<END>' }}{% endif %}{% endfor %}""",
    "command_r_tools": """{%- macro json_to_python_type(json_spec) %}{%- set basic_type_map = {"string": "str", "number": "float", "integer": "int", "boolean": "bool"} %}{%- if basic_type_map[json_spec.type] is defined %}{{- basic_type_map[json_spec.type] }}{%- elif json_spec.type == "array" %}{{- "List[" + json_to_python_type(json_spec['items']) + "]"}}{%- elif json_spec.type == "object" %}{{- "Dict[str, " + json_to_python_type(json_spec.additionalProperties) + ']' if json_spec.additionalProperties else "Dict" }}{%- elif json_spec.type is iterable %}{{- "Union[" }}{%- for t in json_spec.type %}{{- json_to_python_type({"type": t}) }}{%- if not loop.last %}{{- "," }}{%- endif %}{%- endfor %}{{- "]" }}{%- else %}{{- "Any" }}{%- endif %}{%- endmacro %}
{%- for tool in tools or [] %}{%- if 'function' in tool %}{%- set tool = tool.function %}{%- endif %}{{- "def " + tool.name + "(" }}{%- for param_name, param_fields in (tool.parameters.properties or {})|items %}{%- if loop.index0 != 0 %}{{ ", "}}{%- endif %}{{- param_name + ": " }}{%- if not param_name in (tool.parameters.required or []) %}{{- 'Optional[' + json_to_python_type(param_fields) + '] = None'}}{%- else %}{{- json_to_python_type(param_fields) }}{%- endif %}{%- endfor %}{{- ")\n" }}{%- endfor %}""",
    "granite": """{%- set tools_system = namespace(text='') %}{%- if tools %}{{- '<role>tools</role>' }}{%- for tool in tools %}{{- tool | tojson(indent=4) }}{%- if not loop.last %}{{- '\n\n' }}{%- endif %}{%- endfor %}{{- '<end>\n' }}{%- endif %}{%- for message in messages %}{%- if message['role'] == 'assistant_tool_call' or (message.role == 'assistant' and message.tool_calls is defined) %}{{- '<role>assistant</role><|call|>' + (message['content'] or '') }}{%- for c in message.tool_calls or [] %}{{ c.function | tojson(sort_keys=true) }}{%- endfor %}{%- else %}{{- '<role>' + message['role'] + '</role>' + message['content']|string + '<end>\n' }}{%- endif %}{%- if loop.last and add_generation_prompt %}{{- '<role>assistant' }}{%- if controls %}{{- ' ' + controls | tojson()}}{%- endif %}{{- '</role>' }}{%- endif %}{%- endfor %}""",
    "zephyr": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}
""",
    "falcon": """{% for message in messages %}{% if not loop.first %}{{ '\n' }}{% endif %}{{ message['role'] | capitalize + ': ' + message['content'].replace('\r\n', '\n').replace('\n\n', '\n') }}{% endfor %}{% if add_generation_prompt %}{{ '\n' + 'assistant'|title + ':' }}{% endif %}""",
    "yi": """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% endif %}{% if system_message is defined %}{{ system_message }}{% endif %}{% for message in messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<s>user\\n' + content + '<e>\\n<s>assistant\\n' }}{% elif message['role'] == 'assistant' %}{{ content + '<e>' + '\\n' }}{% endif %}{% endfor %}""",
    "olmo": """{{ eos_token }}{% for message in messages %}
{% if message['role'] == 'system' %}
{{ '<|system|>\n' + message['content'] }}
{% elif message['role'] == 'user' %}
{{ '<|user|>\n' + message['content'] }}
{% elif message['role'] == 'assistant' %}
{% if not loop.last %}{{ '<|assistant|>\n'  + message['content'] + eos_token + '\n' }}{% else %}{{ '<|assistant|>\n'  + message['content'] + eos_token }}{% endif %}
{% endif %}
{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}
{% endfor %}""",
    "solar": """{% for message in messages %}{% if message['role'] == 'system' %}{% if message['content']%}{{'### System:\n' + message['content']+'\n\n'}}{% endif %}{% elif message['role'] == 'user' %}{{'### User:\n' + message['content']+'\n\n'}}{% elif message['role'] == 'assistant' %}{{'### Assistant:\n'  + message['content']}}{% endif %}{% if loop.last and add_generation_prompt %}{{ '### Assistant:\n' }}{% endif %}{% endfor %}""",
    "internlm": """{{ bos_token }}{% for message in messages %}{{ '<s>' ~ message.role ~ '\n' ~ (message.content if message.content is defined else '') ~ '<e>' ~ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}""",
    "glm4": """[gMASK]<sop>
{%- if tools -%}
<|system|>
# tools
{% for tool in tools %}
{%- set function = tool.function if tool.get("function") else tool %}

## {{ function.name }}

{{ function | tojson(indent=4, ensure_ascii=False) }}
call with json.
{%- endfor %}
{%- endif -%}
{%- for msg in messages %}{%- if msg.role == 'system' %}
<|system|>
{{ msg.content }}
{%- endif %}
{%- endfor %}
{%- for message in messages if message.role != 'system' %}{%- set role = message['role'] %}{%- set content = message['content'] %}{%- set meta = message.get("metadata", "") %}
{%- if role == 'user' %}
<|user|>
{{ content }}
{%- elif role == 'assistant' and not meta %}
<|assistant|>
{{ content }}
{%- elif role in ['tool', 'observation'] %}
<|observation|>
{{ content }}
{%- endif %}
{%- endfor %}
{% if add_generation_prompt %}<|assistant|>{% endif %}""",
    "hermes_tools": """{{- bos_token }}{%- set tools = tools or [] %}{{- '<s>system\n<tools> ' }}{%- for tool in tools %}{%- if tool.function is defined %}{%- set tool = tool.function %}{%- endif %}{{- '{"type": "function", "function": ' }}{{- '{"name": "' + tool.name + '", ' }}{{- '"description": "' + tool.name + '(' }}{%- for param_name, param_fields in tool.parameters.properties|items %}{{- param_name + ": " ~ (param_fields.type if param_fields.type is string else param_fields.type|join('|')) }}{%- if not loop.last %}{{- ", " }}{%- endif %}{%- endfor %}{{- ")" }}{%- if tool.parameters.properties|length == 0 %}{{- ', "parameters": {}' }}{%- else %}{{- ', "parameters": ' + tool.parameters|tojson }}{%- endif %}{{- "}}" }}{%- endfor %}{{- " </tools><e>\n" }}
{%- for message in messages %}{%- if message.role == "tool" %}{%- if loop.previtem and loop.previtem.role != "tool" %}{{- '<s>tool\n' }}{%- endif %}{{- '<r>\n' ~ message.content }}{%- if not loop.last %}{{- '\n</r>\n' }}{%- else %}{{- '\n</r>' }}{%- endif %}{%- if not loop.last and loop.nextitem.role != "tool" %}{{- '<e>' }}{%- elif loop.last %}{{- '<e>' }}{%- endif %}{%- elif message.tool_calls %}{%- for c in message.tool_calls %}{{ c.function.arguments.items() | list }}{%- endfor %}{%- else %}{{ message.role ~ message.content }}{%- endif %}{%- endfor %}""",
    "smollm3": """{%- set enable_thinking = enable_thinking if enable_thinking is defined else true -%}{%- set reasoning_mode = '/think' if enable_thinking else '/no_think' -%}{%- if messages[0].role == "system" -%}{%- set system_message = messages[0].content -%}{%- if "/no_think" in system_message -%}{%- set reasoning_mode = "/no_think" -%}{%- endif -%}{%- set custom = system_message.replace("/no_think", "").replace("/think", "").rstrip() -%}{%- endif -%}{{- reasoning_mode ~ (custom if custom else '-') -}}
{%- for message in messages -%}{%- set content = message.content if message.content is string else "" -%}{%- if message.role == "user" -%}{{ "<u>" + content + "\n" }}{%- elif message.role == "assistant" -%}{% generation %}{%- if reasoning_mode == "/think" -%}{{ "<a>" + content.lstrip("\n") + "\n" }}{%- else -%}{{ "<a><think></think>" + content + "\n" }}{%- endif -%}{% endgeneration %}{%- elif message.role == "tool" -%}{{ "<u>" + message.content|string }}{%- endif -%}{%- endfor -%}""",
    "nemotron": """{%- set ns = namespace(sys='', think=true) -%}{%- for m in messages -%}{%- if m['role'] == 'system' -%}{%- set ns.sys = m['content'] | replace('detailed thinking on', '') | trim -%}{%- if 'off' in m['content'].lower().split() -%}{%- set ns.think = false -%}{%- endif -%}{%- endif -%}{%- endfor -%}{{ ns.sys }}{%- for m in messages if m['role'] in ('user', 'assistant') -%}{{- '<x>' ~ m['role'] ~ '</x>' }}{{ m['content'] }}{%- endfor -%}{{ '' if ns.think else '<think></think>' }}""",
    "exaone": """{% for message in messages %}{% if loop.first and message['role'] != 'system' %}{{ '[|system|][|end|]\n' }}{% endif %}{{ '[|' + message['role'] + '|]' + message['content'] }}{% if message['role'] == 'user' %}{{ '\n' }}{% else %}{{ '[|end|]\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '[|assistant|]' }}{% endif %}""",
    "jamba": """{%- macro handle_tools(tools) %}<tools>\n{%- for tool in tools %}{{ tool | tojson }}\n{% endfor %}</tools>{% endmacro -%}{%- macro content_of(message) %}{% if message.content is mapping and 'value' in message.content %}{{ message.content.value }}{% else %}{{ message.content }}{% endif %}{% endmacro -%}{%- set index = (messages|map(attribute='role')|list)|length -%}{{ handle_tools(tools) if tools else '' }}{%- for m in messages %}<|{{ m.role }}|> {{ content_of(m)|trim }} {{ index - loop.index }}{% endfor %}""",
    "functionary": """{%- for tool in tools or [] %}{%- for name, p in tool.function.parameters.properties.items() %}{{ loop.index ~ '/' ~ loop.length ~ ' ' ~ name }}{%- if p.enum is defined %}: {{ p.enum | map('tojson') | join(' | ') }}{%- endif %}{%- if p.default is defined %} = {{ p.default }}{%- endif %}{{ '\n' }}{%- endfor %}{%- endfor %}{%- for m in messages|rejectattr('role', 'in', ['system']) %}{{ '%s: %s' % (m.role, m.content) }}|{{ '%s'|format(m.content)|length }}{%- endfor %}""",
    "gpt_oss": """{%- macro kind(p, nested=false) -%}{%- if p.type == 'array' -%}{{ kind(p['items'], true) + '[]' }}{%- elif p.enum -%}{{ '"' + p.enum|join('" | "') + '"' }}{%- elif p.type in ('number', 'integer') -%}number{%- elif p.type is iterable and p.type is not string -%}{{ p.type | join(' | ') }}{%- else -%}{{ p.type or 'any' }}{%- endif -%}{%- endmacro -%}
{%- for tool in tools or [] -%}{%- set f = tool.function -%}type {{ f.name }} = (_: {{ '{' }}{%- for n, p in f.parameters.properties.items() -%}{{ '\n// ' + p.description + '\n' if p.description }}{{ n + ('?' if n not in f.parameters.required else '') + ': ' }}{{ kind(p) }}{%- if p.default is defined -%}{{ ', // default: ' }}{{ p.default if p.default is string else p.default|tojson }}{%- endif -%}{%- endfor -%}{{ '}' }}) => any;{%- endfor -%}
{%- for m in messages -%}{%- if m.role == 'assistant' and m.thinking is defined -%}<t>{{ m.thinking }}</t>{%- endif -%}<{{ m.role }}>{{ m.content }}{%- endfor -%}""",
    "dbrx": """{% if 'system' == messages[0].role %}{% set s = messages[0].content %}{% elif not date_string %}{% set s = '' %}{% else %}{% set s %}Today is {{ date_string }}.{% endset %}{% endif %}{{ s|indent(2, first=true) }}{% for m in messages %}{% call turn(m) %}{{ m.content }}{% endcall %}{% endfor %}{% macro turn(m) %}{% endmacro %}""",
    "openchat": """{{ bos_token }}{% for message in messages %}{{ 'GPT4 Correct ' + message['role'].title() + ': ' + message['content'] + '<|end|>'}}{% endfor %}""",
    "chatml_call": """{% macro turn(role) %}<s>{{ role }}
{{ caller() }}<e>
{% endmacro %}{% for m in messages %}{% call turn(m.role) %}{{ m.content | default('-', true) }}{% endcall %}{% endfor %}""",
}

TOOL = {"type": "function", "function": {
    "name": "set_alarm", "description": "Sets an alarm, \"soon\" & <later>.", "parameters": {
        "type": "object", "required": ["time"], "properties": {
            "time": {"type": "string", "description": "When"}, "volume": {"type": "number", "default": 1e-7},
            "days": {"type": "array", "items": {"type": "integer"}}, "mode": {"enum": ["a", "é"], "type": "string"},
            "any": {"type": ["string", "null"]}, "deep": {"type": "object", "additionalProperties": {"type": "boolean"}}}}}}
ODD = {"tiny": 1e-7, "huge": 1e16, "big": 12345678901234567, "neg": -0.0, "half": 0.5, "exp": 1.5e300, "one": 1.0, "none": None,
       "yes": True, "list": [1, 2.50, "x'y", "\"q\"", []], "empty": {}, "text": "a\nb\t\u00e9\u2028\U0001f642"}
CHATS = {
    "plain": {"messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": " Yes. "}]},
    "system": {"messages": [{"role": "system", "content": "Be brief. /no_think off"}, {"role": "user", "content": " Is tea\n\ngood? "},
                            {"role": "assistant", "content": "\nYes\n"}, {"role": "user", "content": "Sure?"}], "prompt": True},
    "tools": {"messages": [
        {"role": "system", "content": "Use tools."}, {"role": "user", "content": "Wake me"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"type": "function", "id": "call123456789", "function": {"name": "set_alarm", "arguments": ODD}}]},
        {"role": "tool", "name": "set_alarm", "tool_call_id": "call123456789", "content": "ok 1e-7"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nDone."}], "tools": [TOOL], "prompt": True},
    "two tools": {"messages": [
        {"role": "user", "content": "Wake me"},
        {"role": "assistant", "content": "Soon", "tool_calls": [
            {"type": "function", "id": "1234567890", "function": {"name": "f", "arguments": {"a": "x"}}},
            {"type": "function", "function": {"name": "g", "arguments": {"b": 2.0, "c": [1e22, 123456789.123]}}}]},
        {"role": "tool", "content": "1"}, {"role": "tool", "content": 2.50}, {"role": "tool", "content": ODD}],
        "tools": [TOOL, {"type": "function", "function": {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}}]},
    "parts": {"messages": [
        {"role": "system", "content": [{"type": "text", "text": "See"}]},
        {"role": "user", "content": [{"type": "text", "text": "What? "}, {"type": "image"}]},
        {"role": "assistant", "content": "A cat", "reasoning_content": "whiskers"}], "prompt": True,
        "variables": {"enable_thinking": False, "controls": {"length": 1e-5}, "builtin": ["code", "search"], "date_string": "1 Jan 2026"}},
    "numbers": {"messages": [{"role": "user", "content": 1e-7}, {"role": "assistant", "content": [1e16, None, True]}]},
    "nothing": {"messages": [{"role": "user", "content": ""}], "tools": []},
}
